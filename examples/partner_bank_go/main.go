// A partner bank in Go: it reads its instructions, writes its book, and sends what the book says is to be answered.
package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"hash/crc32"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions = 8
	batch      = 500
	retry      = time.Second
)

func main() {
	bank := flag.String("bank", "", "the bank's code, for example bank-a")
	bootstrap := flag.String("bootstrap", "", "Kafka, host:port")
	stateDir := flag.String("state-dir", "", "where the bank keeps its book")
	keyFile := flag.String("signing-key", "", "file with the private key that signs, 64 hex digits")
	keyID := flag.String("key-id", "k1", "the id under which the bank's public key is registered")
	nobody := flag.Bool("nobody-comes", false, "no family takes its money: it is given back when asked for, cash is not fetched")
	flag.Parse()
	if *bank == "" || *bootstrap == "" || *stateDir == "" {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	sign, err := signer(*keyFile, *keyID)
	if err != nil {
		log.Fatal(err)
	}
	if err := serve(ctx, *bank, *bootstrap, *stateDir, *nobody, sign); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, bank, bootstrap, stateDir string, nobody bool, sign func([]byte) []kgo.RecordHeader) error {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return err
	}
	book, err := OpenBook(filepath.Join(stateDir, "book.db"))
	if err != nil {
		return err
	}
	defer book.db.Close()
	client, err := connect(book, bank, bootstrap)
	if err != nil {
		return err
	}
	defer client.Close()
	log.Printf("%s is open", bank)
	for ctx.Err() == nil {
		// First what waits: a bank that died between its book and its answers may read nothing more for hours.
		if err := answer(ctx, book, client, bank, sign); err != nil {
			return err
		}
		fetches := client.PollRecords(ctx, batch)
		for _, failure := range fetches.Errors() {
			if ctx.Err() == nil {
				log.Printf("reading failed, going on: %v", failure.Err)
			}
		}
		records := fetches.Records()
		if err := take(book, bank, nobody, records); err != nil {
			return err
		}
		if len(records) > 0 {
			log.Printf("took %d records", len(records))
		}
	}
	return nil
}

// connect reads on from where the book stands, not from where the broker thinks the bank is.
func connect(book *Book, bank, bootstrap string) (*kgo.Client, error) {
	known, err := book.Offsets()
	if err != nil {
		return nil, err
	}
	from := map[int32]kgo.Offset{}
	for partition := range int32(partitions) {
		from[partition] = kgo.NewOffset().At(known[partition])
	}
	return kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ClientID(bank),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"payments.instructions." + bank: from}),
		kgo.FetchMaxWait(200*time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
}

// take handles a batch in one transaction; what cannot be read is told by its place and passed over.
func take(book *Book, bank string, nobody bool, records []*kgo.Record) error {
	if len(records) == 0 {
		return nil
	}
	return book.Take(func(page Page) error {
		clerk := Clerk{bank, nobody, time.Now(), page}
		for _, record := range records {
			question, err := Read(record.Value, personal(record))
			if err != nil {
				log.Printf("partition %d offset %d cannot be read: told to operations", record.Partition, record.Offset)
			} else if err := clerk.Handle(question); err != nil {
				return err
			}
			if err := page.Reached(record.Partition, record.Offset+1); err != nil {
				return err
			}
		}
		return nil
	})
}

// answer sends what waits, in order. After a failure what was not acknowledged waits on and goes first next time.
func answer(ctx context.Context, book *Book, client *kgo.Client, bank string, sign func([]byte) []kgo.RecordHeader) error {
	for ctx.Err() == nil {
		waiting, err := book.Waiting(batch)
		if err != nil || len(waiting) == 0 {
			return err
		}
		records := make([]*kgo.Record, len(waiting))
		for i, one := range waiting {
			records[i] = &kgo.Record{
				Topic: "banks.results." + bank, Key: []byte(one.Key), Value: one.Value,
				Partition: int32(crc32.ChecksumIEEE([]byte(one.Key)) % partitions),
				Headers:   sign(one.Value),
			}
		}
		sent := 0
		for _, result := range client.ProduceSync(ctx, records...) {
			if err = result.Err; err != nil {
				break
			}
			sent++
		}
		if failed := book.Sent(waiting[:sent]); failed != nil {
			return failed
		}
		if err != nil {
			log.Printf("sending failed, trying again: %v", err)
			time.Sleep(retry)
		}
	}
	return nil
}

// signer gives the headers of a message: its type and, with a key, Ed25519 over its exact bytes.
func signer(keyFile, keyID string) (func([]byte) []kgo.RecordHeader, error) {
	plain := kgo.RecordHeader{Key: "content-type", Value: []byte("application/cloudevents+json")}
	if keyFile == "" {
		return func([]byte) []kgo.RecordHeader { return []kgo.RecordHeader{plain} }, nil
	}
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s does not hold 64 hex digits", keyFile)
	}
	key := ed25519.NewKeyFromSeed(seed)
	return func(value []byte) []kgo.RecordHeader {
		signature := base64.StdEncoding.EncodeToString(ed25519.Sign(key, value))
		return []kgo.RecordHeader{plain, {Key: "signature", Value: []byte(keyID + ":" + signature)}}
	}, nil
}

func personal(record *kgo.Record) []byte {
	for _, header := range record.Headers {
		if header.Key == "personal" {
			return header.Value
		}
	}
	return nil
}
