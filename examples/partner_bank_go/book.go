// The bank's own book: entries, transfers, answers and offsets in one file; one transaction per batch, on disk at its end.
package main

import (
	"encoding/binary"
	"encoding/json"

	bolt "go.etcd.io/bbolt"
)

var (
	entries   = []byte("entries")   // instruction id -> Entry
	transfers = []byte("transfers") // number -> what was credited or given back
	messages  = []byte("messages")  // message id -> answer, for ever: the same id always says the same
	outbox    = []byte("outbox")    // number -> message id, in the order to send
	offsets   = []byte("offsets")   // partition -> next offset
)

// Answer is a message to send.
type Answer struct {
	Number uint64 `json:"-"`
	Key    string `json:"key"`
	Value  []byte `json:"value"`
}

// Book is the open file.
type Book struct{ db *bolt.DB }

// OpenBook opens or makes the file; it waits while another process holds it.
func OpenBook(path string) (*Book, error) {
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		return nil, err
	}
	return &Book{db}, db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{entries, transfers, messages, outbox, offsets} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// Take runs one batch as a transaction.
func (b *Book) Take(work func(Page) error) error {
	return b.db.Update(func(tx *bolt.Tx) error { return work(Page{tx}) })
}

// Offsets says where to read on, per partition.
func (b *Book) Offsets() (map[int32]int64, error) {
	found := map[int32]int64{}
	return found, b.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(offsets).ForEach(func(key, value []byte) error {
			found[int32(binary.BigEndian.Uint64(key))] = int64(binary.BigEndian.Uint64(value))
			return nil
		})
	})
}

// Waiting gives the oldest unsent answers.
func (b *Book) Waiting(most int) (answers []Answer, err error) {
	return answers, b.db.View(func(tx *bolt.Tx) error {
		cursor := tx.Bucket(outbox).Cursor()
		for key, id := cursor.First(); key != nil && len(answers) < most; key, id = cursor.Next() {
			answer := Answer{Number: binary.BigEndian.Uint64(key)}
			if err := json.Unmarshal(tx.Bucket(messages).Get(id), &answer); err != nil {
				return err
			}
			answers = append(answers, answer)
		}
		return nil
	})
}

// Sent forgets that answers wait, once Kafka has acknowledged them.
func (b *Book) Sent(answers []Answer) error {
	return b.db.Update(func(tx *bolt.Tx) error {
		for _, answer := range answers {
			if err := tx.Bucket(outbox).Delete(number(answer.Number)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Page is the book inside one transaction.
type Page struct{ tx *bolt.Tx }

// Entry looks an instruction id up.
func (p Page) Entry(id string) (entry Entry, known bool, err error) {
	value := p.tx.Bucket(entries).Get([]byte(id))
	if value == nil {
		return entry, false, nil
	}
	return entry, true, json.Unmarshal(value, &entry)
}

// Enter writes what became of an instruction id.
func (p Page) Enter(id string, entry Entry) error {
	return p.put(entries, []byte(id), entry)
}

// Move books a transfer: "credit" to the account or "return" from it.
func (p Page) Move(kind, id string, entry Entry) error {
	next, err := p.tx.Bucket(transfers).NextSequence()
	if err != nil {
		return err
	}
	transfer := map[string]any{"kind": kind, "instruction_id": id, "amount_minor": entry.AmountMinor, "currency": entry.Currency}
	return p.put(transfers, number(next), transfer)
}

// Say keeps an answer under its id and queues it. An id that was said before keeps its first content.
func (p Page) Say(id, key string, value []byte) error {
	if p.tx.Bucket(messages).Get([]byte(id)) == nil {
		if err := p.put(messages, []byte(id), Answer{Key: key, Value: value}); err != nil {
			return err
		}
	}
	return p.Again(id)
}

// Again queues what was said before; nothing when nothing was.
func (p Page) Again(id string) error {
	if p.tx.Bucket(messages).Get([]byte(id)) == nil {
		return nil
	}
	next, err := p.tx.Bucket(outbox).NextSequence()
	if err != nil {
		return err
	}
	return p.tx.Bucket(outbox).Put(number(next), []byte(id))
}

// Reached notes the offset to read on from.
func (p Page) Reached(partition int32, next int64) error {
	return p.tx.Bucket(offsets).Put(number(uint64(partition)), number(uint64(next)))
}

func (p Page) put(bucket, key []byte, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return p.tx.Bucket(bucket).Put(key, text)
}

func number(value uint64) []byte { return binary.BigEndian.AppendUint64(nil, value) }
