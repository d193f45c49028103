// sumdbcheck reads a Salur audit log with Go's own transparency log packages and nothing of Salur.
//
// It opens the checkpoint with sumdb/note, reads tiles and entry bundles, and checks with sumdb/tlog: the root over
// every leaf, inclusion of every STEP-th entry, consistency of sizes 1, 2, 4 … with the tree, and each HEAD given.
//
//	sumdbcheck -dir DIR -key log.pub [-step N] [HEAD ...]
package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type reader struct {
	dir  string
	tree tlog.Tree
}

func (r reader) Height() int                          { return height }
func (r reader) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (r reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		// C2SP tlog-tiles drops the height from the path: tile/8/0/000 is tile/0/000 there.
		path := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(r.dir, path))
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return out, nil
}

func fail(format string, args ...any) {
	fmt.Printf("FAILED: "+format+"\n", args...)
	os.Exit(1)
}

func open(path string, verifiers note.Verifiers, origin string) tlog.Tree {
	data, err := os.ReadFile(path)
	if err != nil {
		fail("%v", err)
	}
	signed, err := note.Open(data, verifiers)
	if err != nil {
		fail("%s: %v", path, err)
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != origin {
		fail("%s is no checkpoint of %s", path, origin)
	}
	// tlog.ParseTree wants Go's own first line; size and root have the same form.
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + lines[1] + "\n" + lines[2] + "\n"))
	if err != nil {
		fail("%s: %v", path, err)
	}
	return tree
}

func entries(dir string, n, size int64) ([][]byte, error) {
	width := size - n*256
	t := tlog.Tile{H: height, L: 0, N: n, W: 256}
	if width < 256 {
		t.W = int(width)
	}
	path := strings.Replace(t.Path(), "tile/8/0/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for len(data) > 0 {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%s ends within an entry", path)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		out = append(out, data[2:end])
		data = data[end:]
	}
	if len(out) != t.W {
		return nil, fmt.Errorf("%s has %d entries, wanted %d", path, len(out), t.W)
	}
	return out, nil
}

func main() {
	dir := flag.String("dir", "", "folder of the log")
	keyFile := flag.String("key", "", "file of the log's verifier keys, one a line")
	step := flag.Int64("step", 1, "prove every step-th entry")
	flag.Parse()
	keys, err := os.ReadFile(*keyFile)
	if err != nil {
		fail("%v", err)
	}
	var all []note.Verifier
	for _, line := range strings.Fields(string(keys)) {
		v, err := note.NewVerifier(line)
		if err != nil {
			fail("%v", err)
		}
		all = append(all, v)
	}
	verifiers := note.VerifierList(all...)
	origin := all[0].Name()
	tree := open(filepath.Join(*dir, "checkpoint"), verifiers, origin)
	r := reader{*dir, tree}
	hashes := tlog.TileHashReader(tree, r)

	// Every leaf hash from the entries themselves, against the hashes that lead to the signed root.
	var checked int64
	for n := int64(0); n*256 < tree.N; n++ {
		leaves, err := entries(*dir, n, tree.N)
		if err != nil {
			fail("%v", err)
		}
		indexes := make([]int64, len(leaves))
		for i := range leaves {
			indexes[i] = tlog.StoredHashIndex(0, n*256+int64(i))
		}
		stored, err := hashes.ReadHashes(indexes)
		if err != nil {
			fail("bundle %d: %v", n, err)
		}
		for i, leaf := range leaves {
			index := n*256 + int64(i)
			hash := tlog.RecordHash(leaf)
			if !bytes.Equal(hash[:], stored[i][:]) {
				fail("entry %d is not what the tree holds", index)
			}
			if index%*step == 0 {
				proof, err := tlog.ProveRecord(tree.N, index, hashes)
				if err != nil {
					fail("entry %d: %v", index, err)
				}
				if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, hash); err != nil {
					fail("entry %d: %v", index, err)
				}
				checked++
			}
		}
	}
	var consistent int
	extends := func(old tlog.Tree) {
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		if err != nil {
			fail("size %d: %v", old.N, err)
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			fail("size %d: %v", old.N, err)
		}
		consistent++
	}
	for size := int64(1); size < tree.N; size *= 2 {
		root, err := tlog.TreeHash(size, hashes)
		if err != nil {
			fail("size %d: %v", size, err)
		}
		extends(tlog.Tree{N: size, Hash: root})
	}
	for _, path := range flag.Args() {
		if old := open(path, verifiers, origin); old.N > 0 {
			extends(old)
		}
	}
	fmt.Printf("OK: %d entries, %d inclusion proofs, %d consistency proofs\n", tree.N, checked, consistent)
}
