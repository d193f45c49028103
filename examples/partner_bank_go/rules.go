// What the bank does with one question. It writes into the book's open transaction and sends nothing itself.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

const (
	credited, rejected                             = "ACCC", "RJCT"
	wrongFormat, tooLate, duplication, notExecuted = "FF01", "TM01", "AM05", "NOOR"
	spent                                          = "AM04"
)

// Entry is what the book knows about an instruction id for ever.
type Entry struct {
	PaymentID   string `json:"payment_id"`
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
	Content     string `json:"content"`
	Commitment  string `json:"commitment"`
	Status      string `json:"status"`
	Reason      string `json:"reason"`
	Closed      bool   `json:"closed"` // answered "not executed": never paid
}

// Clerk applies the rules of docs/partners in one transaction of the book.
type Clerk struct {
	bank string
	now  time.Time
	page Page
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
	entry := Entry{q.PaymentID, q.AmountMinor, q.Currency, q.Content(), q.Account, credited, "", false}
	if !q.Proven() {
		entry.Status, entry.Reason = rejected, wrongFormat
	} else if c.now.After(q.ExecuteUntil) {
		entry.Status, entry.Reason = rejected, tooLate
	}
	if entry.Status == credited {
		if err := c.page.Credit(q.InstructionID, entry); err != nil {
			return err
		}
	}
	if err := c.page.Enter(q.InstructionID, entry); err != nil {
		return err
	}
	return c.say(q, entry, "first", entry.Status, entry.Reason)
}

func (c Clerk) inquiry(q Question, entry Entry, known bool) error {
	if !known {
		// The answer "not executed" is a promise: from now on this id can never be paid here.
		entry = Entry{q.PaymentID, q.AmountMinor, q.Currency, "", "", rejected, notExecuted, true}
		if err := c.page.Enter(q.InstructionID, entry); err != nil {
			return err
		}
	}
	if q.Recall == 0 {
		return c.say(q, entry, fmt.Sprintf("inquiry-%d", q.Inquiry), entry.Status, entry.Reason)
	}
	reason := entry.Reason
	if entry.Status == credited {
		reason = spent // every family of this bank comes at once
	}
	return c.say(q, entry, fmt.Sprintf("recall-%d", q.Recall), entry.Status, reason)
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
