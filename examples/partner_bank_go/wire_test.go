package main

import (
	"os"
	"testing"
)

// The values are those of tests/contract/golden/salur.payment.instructed.v1.json and its header.
func TestReadsTheGoldenInstruction(t *testing.T) {
	q, err := Read(golden(t, ""), golden(t, ".personal"))
	if err != nil || !q.Proven() {
		t.Fatalf("the golden instruction is not read or not proven: %v", err)
	}
}

func TestRefusesAnotherAccount(t *testing.T) {
	other := []byte(`{"salt": "AAAA", "values": {"account_number": "1", "account_holder": "2"}}`)
	for _, header := range [][]byte{nil, other} {
		if q, err := Read(golden(t, ""), header); err != nil || q.Proven() {
			t.Fatalf("an account the body does not commit to counts as proven (%v)", err)
		}
	}
}

func TestReadsNoRubbish(t *testing.T) {
	for _, value := range []string{"", "[]", "\xff", `{"type": "salur.payment.instructed.v1", "data": {}}`} {
		if _, err := Read([]byte(value), nil); err == nil {
			t.Fatalf("%q was taken for a question", value)
		}
	}
}
func golden(t *testing.T, part string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../tests/contract/golden/salur.payment.instructed.v1" + part + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}
