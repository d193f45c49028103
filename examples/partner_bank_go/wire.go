// The contract as a bank sees it: what arrives on payments.instructions.<bank>, what answers look like.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"
)

const (
	instructed     = "salur.payment.instructed.v1"
	inquired       = "salur.payment.inquired.v1"
	recalled       = "salur.payment.recall-requested.v1"
	checkAsked     = "salur.account-check.asked.v1"
	resultType     = "salur.bank-result.v1"
	findingType    = "salur.account-check-result.v1"
	maxMessageSize = 64 * 1024
)

var (
	idPattern       = regexp.MustCompile(`^[0-9a-z-]{1,35}$`)
	currencyPattern = regexp.MustCompile(`^[A-Z]{3}$`)
	plainSeparators = strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029") // Go escapes these two, the contract does not
	errUnreadable   = errors.New("not the contract")
)

// Question is an instruction, an inquiry when Inquiry > 0, a recall when Recall > 0, or a question about an account when CheckID is set. Amounts are integers in the currency's minor unit.
type Question struct {
	CheckID       string    `json:"check_id"`
	InstructionID string    `json:"instruction_id"`
	PaymentID     string    `json:"payment_id"`
	EntitlementID string    `json:"entitlement_id"`
	Part          int64     `json:"part"`
	AmountMinor   int64     `json:"amount_minor"`
	Currency      string    `json:"currency"`
	ExecuteUntil  time.Time `json:"execute_until"`
	Account       string    `json:"account_number"` // a commitment
	Holder        string    `json:"account_holder"` // a commitment
	Inquiry       int64     `json:"inquiry"`
	Recall        int64     `json:"recall"`
	Method        string    `json:"method"` // account, card, group-account, contribution or cash

	Number, Name string // the account in clear, empty unless both are the ones the body commits to
}

// Proven says whether the account is the one the body commits to.
func (q Question) Proven() bool { return q.Number != "" && q.Name != "" }

// Content is what must be the same when an instruction id comes again.
func (q Question) Content() string {
	text, _ := json.Marshal([]any{q.PaymentID, q.EntitlementID, q.Part, q.AmountMinor, q.Currency, q.Number, q.Name})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Read takes one record; personal is its header of that name. Fields it does not know are ignored.
func Read(value, personal []byte) (Question, error) {
	var document struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	var q Question
	if len(value) == 0 || len(value) > maxMessageSize || json.Unmarshal(value, &document) != nil {
		return q, errUnreadable
	}
	known := document.Type == instructed || document.Type == inquired || document.Type == recalled || document.Type == checkAsked
	if !known || json.Unmarshal(document.Data, &q) != nil {
		return q, errUnreadable
	}
	if document.Type == checkAsked {
		if !idPattern.MatchString(q.CheckID) {
			return q, errUnreadable
		}
		q.Number, q.Name = provenAccount(q, personal)
		return q, nil
	}
	q.CheckID = ""
	if !idPattern.MatchString(q.InstructionID) || !idPattern.MatchString(q.PaymentID) || q.AmountMinor < 1 ||
		!currencyPattern.MatchString(q.Currency) {
		return q, errUnreadable
	}
	if document.Type == inquired {
		q.Recall = 0
		if q.Inquiry < 1 {
			return q, errUnreadable
		}
		return q, nil
	}
	q.Inquiry = 0
	if document.Type == recalled {
		if q.Recall < 1 {
			return q, errUnreadable
		}
		return q, nil
	}
	q.Recall = 0
	if !idPattern.MatchString(q.EntitlementID) || q.Part < 1 || q.ExecuteUntil.IsZero() {
		return q, errUnreadable
	}
	q.Number, q.Name = provenAccount(q, personal)
	return q, nil
}

func provenAccount(q Question, personal []byte) (number, name string) {
	var header struct {
		Salt   string `json:"salt"`
		Values struct {
			Number string `json:"account_number"`
			Holder string `json:"account_holder"`
		} `json:"values"`
	}
	if json.Unmarshal(personal, &header) != nil {
		return "", ""
	}
	seed, err := base64.StdEncoding.DecodeString(header.Salt)
	if err != nil || Commitment(seed, "account_number", header.Values.Number) != q.Account ||
		Commitment(seed, "account_holder", header.Values.Holder) != q.Holder {
		return "", ""
	}
	return header.Values.Number, header.Values.Holder
}

// Commitment is "sha256:" + SHA-256(salt ‖ path ‖ 0x00 ‖ JSON of value), salt = HMAC-SHA-256(seed, path).
func Commitment(seed []byte, path, value string) string {
	salt := hmac.New(sha256.New, seed)
	salt.Write([]byte(path))
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // <, > and & stand as they are
	_ = encoder.Encode(value)
	sum := sha256.New()
	sum.Write(salt.Sum(nil))
	sum.Write([]byte(path))
	sum.Write([]byte{0})
	sum.Write([]byte(plainSeparators.Replace(strings.TrimSuffix(text.String(), "\n"))))
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// Result is the data of an answer. Status and Reason are ISO 20022 codes.
type Result struct {
	InstructionID string  `json:"instruction_id"`
	Status        string  `json:"status"`
	Reason        *string `json:"reason"`
	AmountMinor   int64   `json:"amount_minor"`
	Currency      string  `json:"currency"`
	BankReference string  `json:"bank_reference"`
	Commitment    *string `json:"account_commitment"`
	Inquiry       *int64  `json:"inquiry"`
	Recall        *int64  `json:"recall"`
}

// Finding is the data of an answer about an account.
type Finding struct {
	CheckID    string `json:"check_id"`
	Result     string `json:"result"`
	Commitment string `json:"account_commitment"`
}

// Envelope makes the message value of an answer.
func Envelope(bank, kind, id string, now time.Time, data any) []byte {
	value, _ := json.Marshal(map[string]any{
		"specversion": "1.0", "id": id, "source": "/bank/" + bank, "type": kind,
		"time": now.UTC().Format("2006-01-02T15:04:05.000Z"), "datacontenttype": "application/json", "data": data,
	})
	return value
}
