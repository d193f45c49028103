// What the bank does with one question. It writes into the book's open transaction and sends nothing itself.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

const (
	credited, rejected, returned, inProcess        = "ACCC", "RJCT", "RTRN", "ACSP"
	wrongFormat, tooLate, duplication, notExecuted = "FF01", "TM01", "AM05", "NOOR"
	spent, onRequest, notFetched                   = "AM04", "FOCR", "NOAS"
	cash                                           = "cash"
)

// Entry is what the book knows about an instruction id for ever.
type Entry struct {
	PaymentID   string    `json:"payment_id"`
	AmountMinor int64     `json:"amount_minor"`
	Currency    string    `json:"currency"`
	Content     string    `json:"content"`
	Commitment  string    `json:"commitment"`
	Status      string    `json:"status"`
	Reason      string    `json:"reason"`
	Closed      bool      `json:"closed"` // answered "not executed": never paid
	Until       time.Time `json:"until"`
}

// Clerk applies the rules of docs/partners in one transaction of the book.
type Clerk struct {
	bank   string
	nobody bool // comes for the money
	now    time.Time
	page   Page
}

// Handle takes a question in the order of its topic.
func (c Clerk) Handle(q Question) error {
	if q.CheckID != "" {
		return c.check(q)
	}
	entry, known, err := c.page.Entry(q.InstructionID)
	switch {
	case err != nil:
		return err
	case q.Inquiry > 0 || q.Recall > 0:
		return c.inquiry(q, entry, known)
	case !known:
		return c.first(q)
	case entry.Closed:
		return c.say(q, entry, "refused", rejected, notExecuted)
	case entry.Content != q.Content():
		return c.say(q, entry, "conflict-"+q.Content(), rejected, duplication)
	case entry.Status == inProcess:
		return c.page.Again(messageID(c.bank, q.InstructionID, "ready"))
	default:
		return c.page.Again(messageID(c.bank, q.InstructionID, "first"))
	}
}

// check answers about an account; this bank knows every account whose commitments are proven.
func (c Clerk) check(q Question) error {
	finding := Finding{q.CheckID, "matches", q.Account}
	id := messageID(c.bank, q.CheckID, "checked")
	if !q.Proven() {
		finding.Result = "unknown-account"
		id = messageID(c.bank, q.CheckID, "unproven")
	}
	return c.page.Say(id, q.CheckID, Envelope(c.bank, findingType, id, c.now, finding))
}

func (c Clerk) first(q Question) error {
	entry := Entry{q.PaymentID, q.AmountMinor, q.Currency, q.Content(), q.Account, credited, "", false, q.ExecuteUntil}
	if !q.Proven() {
		entry.Status, entry.Reason = rejected, wrongFormat
	} else if c.now.After(q.ExecuteUntil) {
		entry.Status, entry.Reason = rejected, tooLate
	} else if q.Method == cash {
		if err := c.say(q, entry, "ready", inProcess, ""); err != nil {
			return err
		}
		if c.nobody {
			entry.Status = inProcess
		}
	}
	if entry.Status == credited {
		if err := c.page.Move("credit", q.InstructionID, entry); err != nil {
			return err
		}
	}
	if err := c.page.Enter(q.InstructionID, entry); err != nil || entry.Status == inProcess {
		return err
	}
	return c.say(q, entry, "first", entry.Status, entry.Reason)
}

func (c Clerk) inquiry(q Question, entry Entry, known bool) error {
	if !known {
		// The answer "not executed" is a promise: from now on this id can never be paid here.
		entry = Entry{q.PaymentID, q.AmountMinor, q.Currency, "", "", rejected, notExecuted, true, q.ExecuteUntil}
		if err := c.page.Enter(q.InstructionID, entry); err != nil {
			return err
		}
	}
	if entry.Status == inProcess && c.now.After(entry.Until) {
		entry.Status, entry.Reason = rejected, notFetched // from now on it is not handed out any more
		if err := c.page.Enter(q.InstructionID, entry); err != nil {
			return err
		}
	}
	given := messageID(c.bank, q.InstructionID, "returned")
	if q.Recall == 0 && entry.Status == returned {
		if err := c.say(q, entry, fmt.Sprintf("inquiry-%d", q.Inquiry), credited, ""); err != nil {
			return err
		}
		return c.page.Again(given)
	}
	if q.Recall == 0 {
		return c.say(q, entry, fmt.Sprintf("inquiry-%d", q.Inquiry), entry.Status, entry.Reason)
	}
	if entry.Status == returned {
		return c.page.Again(given)
	}
	if entry.Status == credited && c.nobody {
		return c.giveBack(q, entry)
	}
	reason := entry.Reason
	if entry.Status == credited {
		reason = spent // every family comes at once
	}
	return c.say(q, entry, fmt.Sprintf("recall-%d", q.Recall), entry.Status, reason)
}

// giveBack returns what nobody has taken, once.
func (c Clerk) giveBack(q Question, entry Entry) error {
	entry.Status, entry.Reason = returned, onRequest
	if err := c.page.Move("return", q.InstructionID, entry); err != nil {
		return err
	}
	if err := c.page.Enter(q.InstructionID, entry); err != nil {
		return err
	}
	return c.say(Question{InstructionID: q.InstructionID, PaymentID: q.PaymentID, AmountMinor: q.AmountMinor, Currency: q.Currency},
		entry, "returned", returned, onRequest)
}

func (c Clerk) say(q Question, entry Entry, said, status, reason string) error {
	result := Result{
		InstructionID: q.InstructionID, Status: status, AmountMinor: q.AmountMinor, Currency: q.Currency,
		BankReference: messageID(c.bank, q.InstructionID, "reference")[:24],
	}
	if reason != "" {
		result.Reason = &reason
	}
	if entry.Commitment != "" {
		result.Commitment = &entry.Commitment
	}
	if q.Recall > 0 {
		result.Recall = &q.Recall
	}
	if q.Inquiry > 0 {
		result.Inquiry = &q.Inquiry
	}
	id := messageID(c.bank, q.InstructionID, said)
	return c.page.Say(id, q.PaymentID, Envelope(c.bank, resultType, id, c.now, result))
}

// messageID is the same for the same thing said about the same instruction.
func messageID(bank, instructionID, said string) string {
	sum := sha256.Sum256([]byte(bank + "/" + instructionID + "/" + said))
	return hex.EncodeToString(sum[:16])
}
