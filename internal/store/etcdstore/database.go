// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The format of a bbolt database, as far as its structure goes: pages with a
// header of 16 bytes, of which the first two are meta pages with a checksum, and
// the others trees of branch and leaf pages. See
// https://github.com/etcd-io/bbolt/blob/main/internal/common, page.go and meta.go.
const (
	pageHeader    = 16
	pageElement   = 16
	bucketHeader  = 16
	metaSize      = 64
	metaMagic     = 0xED0CDAED
	metaVersion   = 2
	branchPage    = 0x01
	leafPage      = 0x02
	bucketElement = 0x01
	smallestPage  = 512
	largestPage   = 64 << 10
	deepest       = 64
)

// databaseFacts are what is read of etcd's database while it is checked.
type databaseFacts struct {
	// applied is the index of the last entry of the log that is in the database.
	applied uint64
	// revisions is how many changes of keys it holds.
	revisions int
}

// checkDatabase reads the structure of a database that nobody has open, every
// page that can be reached. It never follows what leads out of a page or the
// file, where bbolt, which maps the file and trusts it, ends the process.
func checkDatabase(path string) (databaseFacts, error) {
	file, err := os.Open(path)
	if err != nil {
		return databaseFacts{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return databaseFacts{}, err
	}
	d := databaseReader{file: file, size: info.Size()}
	root, err := d.findMeta()
	if err != nil {
		return databaseFacts{}, err
	}
	if d.high > uint64(d.size)/uint64(d.pageSize) {
		return databaseFacts{}, fmt.Errorf("is cut short: it has %d bytes of %d", d.size, d.high*uint64(d.pageSize))
	}
	d.seen = make([]bool, d.high)
	err = d.tree(root, position{})
	return d.facts, err
}

type databaseReader struct {
	file     io.ReaderAt
	size     int64
	pageSize int
	high     uint64 // pages from here on are not in use
	seen     []bool // by page
	facts    databaseFacts
}

// findMeta takes the newer of the two meta pages that is whole, as bbolt does,
// and returns the page of the root bucket.
func (d *databaseReader) findMeta() (root uint64, err error) {
	found, newest := false, uint64(0)
	for size := smallestPage; size <= largestPage && !found; size *= 2 {
		for page := range 2 {
			m := make([]byte, metaSize)
			if _, err := d.file.ReadAt(m, int64(page*size+pageHeader)); err != nil || !validMeta(m, size) {
				continue
			}
			if tx := binary.LittleEndian.Uint64(m[48:]); !found || tx > newest {
				found, newest = true, tx
				d.pageSize, root, d.high = size, binary.LittleEndian.Uint64(m[16:]), binary.LittleEndian.Uint64(m[40:])
			}
		}
	}
	if !found {
		return 0, errors.New("is no database: neither of its first two pages is whole")
	}
	return root, nil
}

func validMeta(m []byte, pageSize int) bool {
	sum := fnv.New64a()
	_, _ = sum.Write(m[:56])
	return binary.LittleEndian.Uint32(m) == metaMagic && binary.LittleEndian.Uint32(m[4:]) == metaVersion &&
		int(binary.LittleEndian.Uint32(m[8:])) == pageSize && binary.LittleEndian.Uint64(m[56:]) == sum.Sum64()
}

// position is where in the trees a page is: in which bucket, nil for the root,
// whose elements are the buckets of etcd; from which key on and below which one,
// nil for any; and how deep.
type position struct {
	bucket, from, below []byte
	depth               int
}

// tree checks a page and all below it.
func (d *databaseReader) tree(id uint64, at position) error {
	p, err := d.read(id)
	if err != nil {
		return err
	}
	if at.depth++; at.depth > deepest {
		return fmt.Errorf("is damaged: page %d is too deep", id)
	}
	return d.elements(id, p, at)
}

// read returns a page with those that continue it, and marks them as reached.
func (d *databaseReader) read(id uint64) ([]byte, error) {
	damaged := func(what string) ([]byte, error) { return nil, fmt.Errorf("is damaged: page %d %s", id, what) }
	if id < 2 || id >= d.high {
		return damaged("does not exist")
	}
	p := make([]byte, d.pageSize)
	if _, err := d.file.ReadAt(p, int64(id)*int64(d.pageSize)); err != nil {
		return damaged("cannot be read: " + err.Error())
	}
	more := uint64(binary.LittleEndian.Uint32(p[12:]))
	if binary.LittleEndian.Uint64(p) != id || more >= d.high-id {
		return damaged("has a wrong header")
	}
	for at := id; at <= id+more; at++ {
		if d.seen[at] {
			return damaged("is used twice")
		}
		d.seen[at] = true
	}
	if more == 0 {
		return p, nil
	}
	p = make([]byte, int(more+1)*d.pageSize)
	if _, err := d.file.ReadAt(p, int64(id)*int64(d.pageSize)); err != nil {
		return damaged("cannot be read: " + err.Error())
	}
	return p, nil
}

// element is one of a branch page, which leads to a child, or of a leaf page.
type element struct {
	key, value []byte
	child      uint64
	flags      uint32
}

// elements checks what a page, or a bucket that is inside of a page, consists of.
func (d *databaseReader) elements(id uint64, p []byte, at position) error {
	flags, count := binary.LittleEndian.Uint16(p[8:]), int(binary.LittleEndian.Uint16(p[10:]))
	if flags != branchPage && flags != leafPage || pageHeader+count*pageElement > len(p) || flags == branchPage && count == 0 {
		return fmt.Errorf("is damaged: page %d has a wrong header", id)
	}
	all := make([]element, count)
	for i := range all {
		var ok bool
		if all[i], ok = cut(p[pageHeader+i*pageElement:], flags); !ok || !at.admits(all[i].key) || i > 0 && bytes.Compare(all[i-1].key, all[i].key) >= 0 {
			return fmt.Errorf("is damaged: element %d of page %d is wrong", i, id)
		}
	}
	for i, e := range all {
		var err error
		switch {
		case flags == branchPage:
			child := at
			if child.from = e.key; i+1 < count {
				child.below = all[i+1].key
			}
			err = d.tree(e.child, child)
		case (at.bucket == nil) != (e.flags&bucketElement != 0):
			err = fmt.Errorf("is damaged: element %d of page %d is of a wrong kind", i, id)
		case at.bucket == nil:
			err = d.bucket(id, e.key, e.value, at.depth)
		default:
			err = d.leaf(id, at.bucket, e.key, e.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// admits reports whether a key can be at this position.
func (at position) admits(key []byte) bool {
	return len(key) > 0 && bytes.Compare(at.from, key) <= 0 && (at.below == nil || bytes.Compare(key, at.below) < 0)
}

// cut takes an element apart. Its key and value lie behind each other, at a
// distance from the element itself.
func cut(e []byte, flags uint16) (out element, ok bool) {
	var at, keySize, valueSize uint64
	word := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(e[i:])) }
	if flags == branchPage {
		at, keySize, out.child = word(0), word(4), binary.LittleEndian.Uint64(e[8:])
	} else {
		out.flags, at, keySize, valueSize = binary.LittleEndian.Uint32(e), word(4), word(8), word(12)
	}
	if at+keySize+valueSize > uint64(len(e)) {
		return element{}, false
	}
	out.key, out.value = e[at:at+keySize], e[at+keySize:at+keySize+valueSize]
	return out, true
}

// bucket checks a bucket: a tree of its own, or a small page in its value.
func (d *databaseReader) bucket(id uint64, name, value []byte, depth int) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("is damaged: bucket %q of page %d is wrong", name, id)
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return d.tree(root, position{bucket: name, depth: depth})
	}
	if inside := value[bucketHeader:]; len(inside) >= pageHeader && depth < deepest {
		return d.elements(id, inside, position{bucket: name, depth: depth + 1})
	}
	return fmt.Errorf("is damaged: bucket %q of page %d is wrong", name, id)
}

// The names in etcd's database that matter here, and the size of a revision
// (two numbers and what separates them), which a mark for deleted keys may follow.
const (
	keyBucket    = "key"
	metaBucket   = "meta"
	appliedKey   = "consistent_index"
	revisionSize = 17
)

func (d *databaseReader) leaf(id uint64, bucket, key, value []byte) error {
	switch {
	case string(bucket) == keyBucket:
		if len(key) != revisionSize && len(key) != revisionSize+1 || key[8] != '_' {
			return fmt.Errorf("is damaged: page %d has a key that is no revision", id)
		}
		d.facts.revisions++
	case string(bucket) == metaBucket && string(key) == appliedKey:
		if len(value) != 8 {
			return fmt.Errorf("is damaged: page %d has an index that is no number", id)
		}
		d.facts.applied = binary.BigEndian.Uint64(value)
	}
	return nil
}
