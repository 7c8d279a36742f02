// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// The copy on disk is a text. Its first line says whose it is. Blocks follow, each of
// the entries that a delta puts, one record a line, and of the keys that it deletes,
// behind a minus; the first block is a whole state. A block ends with a line that has
// its revision and a sum over all that is in the file before the sum:
//
//	# postern desired 1 host="alpha" instance="k3v9x" boot="6f1c…" file=1053
//	endpoint vpc-1 10.0.1.100 target=240.8.0.1 ports=5432 owner=vpce-1
//	# revision 41 sum 0b9c4f…
//	- endpoint vpc-1 10.0.1.100
//	# revision 42 sum 77e00a…
//
// A block is written before anything of it is carried out. So the kernel never has
// what the copy does not know of, and what the copy says to be gone was said to the
// kernel at most once more.
const (
	copyForm  = "# postern desired 1 "
	blockEnd  = "# revision "
	endSum    = " sum "
	deletion  = "- "
	sumDigits = 32
)

// Whose says what a copy belongs to.
type Whose struct {
	// Host is the name of the host in the state, Instance the mark of what is made.
	Host, Instance string
	// Boot is the identifier of the time since the machine was started: what the
	// kernel had before is gone.
	Boot string
}

// Copy is a desired state that was kept on disk.
type Copy struct {
	Whose
	Revision int64
	Entries  []desired.Entry
}

// String says whose in a few words.
func (w Whose) String() string {
	return fmt.Sprintf("host %s, instance %s, since start %s of the machine", w.Host, w.Instance, w.Boot)
}

// header is the first line of a copy in a file of that number.
func (w Whose) header(inode uint64) string {
	return fmt.Sprintf("%shost=%q instance=%q boot=%q file=%d\n", copyForm, w.Host, w.Instance, w.Boot, inode)
}

// ReadCopy reads a copy whose entries are of these kinds. One that is damaged, was cut
// short, or was put there by others than who kept it, is refused.
func ReadCopy(path string, kinds ...desired.Kind) (Copy, error) {
	c, err := readCopy(path, kinds)
	if err != nil {
		return Copy{}, fmt.Errorf("read the copy of the desired state in %s: %w", path, err)
	}
	return c, nil
}

func readCopy(path string, kinds []desired.Kind) (c Copy, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return c, err
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return c, fmt.Errorf("stat: %w", err)
	}
	header, rest, _ := strings.Cut(string(text), "\n")
	var inode uint64
	if _, err := fmt.Sscanf(header, copyForm+"host=%q instance=%q boot=%q file=%d", &c.Host, &c.Instance, &c.Boot, &inode); err != nil ||
		c.Whose.header(inode) != header+"\n" {
		return c, errors.New("it does not begin as a copy of this form does; another version may have written it")
	}
	if inode != stat.Ino {
		return c, errors.New("the file was put there by others: the kernel may be ahead of it")
	}
	sum := sha256.New()
	io.WriteString(sum, header+"\n")
	state := map[desired.Key]desired.Entry{}
	for first := true; first || rest != ""; first = false {
		if rest, err = c.readBlock(rest, sum, state, kinds); err != nil {
			return c, err
		}
	}
	for _, e := range state {
		c.Entries = append(c.Entries, e)
	}
	return c, nil
}

// errTorn says that a copy does not end as it was written.
var errTorn = errors.New("its end is missing")

// readBlock reads one block into a state and gives what is behind it.
func (c *Copy) readBlock(text string, sum hash.Hash, state map[desired.Key]desired.Entry, kinds []desired.Kind) (rest string, err error) {
	for {
		line, rest, whole := strings.Cut(text, "\n")
		if !whole {
			return "", errTorn
		}
		if end, ok := strings.CutPrefix(line, blockEnd); ok {
			revision, check, _ := strings.Cut(end, endSum)
			io.WriteString(sum, blockEnd+revision+endSum)
			if c.Revision, err = strconv.ParseInt(revision, 10, 64); err != nil || check != digest(sum) {
				return "", fmt.Errorf("what is before %q is not what was written", line)
			}
			io.WriteString(sum, check+"\n")
			return rest, nil
		}
		if key, ok := strings.CutPrefix(line, deletion); ok {
			k, err := desired.ParseKey(key, kinds...)
			if err != nil {
				return "", err
			}
			delete(state, k)
		} else {
			e, err := desired.Parse(line, kinds...)
			if err != nil {
				return "", err
			}
			state[e.Key()] = e
		}
		io.WriteString(sum, line+"\n")
		text = rest
	}
}

func digest(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil))[:sumDigits] }

// keeper keeps a copy on disk. It does not wait for the disk: what the copy is about
// ends with the machine, and waiting would make the store's commits wait as well.
type keeper struct {
	path  string
	whose Whose
	file  *os.File // nil when there is no copy that is current
	sum   hash.Hash
	// state is how large the first block is, more what all others are.
	state, more int
}

// leastMore is how much may be added to a copy before it is written anew.
const leastMore = 64 << 10

// due reports whether a copy is to be written: there is none, somebody has removed,
// replaced or cut it, or more was added to it than it began with.
func (k *keeper) due() bool { return !k.there() || k.more > max(leastMore, k.state) }

// there reports whether what is written is what is found at the path.
func (k *keeper) there() bool {
	if k.file == nil {
		return false
	}
	ours, err := k.file.Stat()
	if err != nil || ours.Size() != int64(k.state+k.more) {
		return false
	}
	found, err := os.Lstat(k.path)
	return err == nil && os.SameFile(ours, found)
}

// replace puts a whole state in the place of what there was. Readers see the old text
// or the new one, also when the process is killed. Whatever an earlier attempt left
// at either name, when the disk was full for example, does not stand in the way. The
// entries belong to it.
func (k *keeper) replace(revision int64, entries []desired.Entry) error {
	k.close()
	k.more = 0
	fresh := k.path + ".new"
	err := os.RemoveAll(fresh)
	if err == nil {
		k.file, err = os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	}
	if err == nil {
		err = k.begin(revision, entries)
	}
	if err == nil {
		if err = os.Rename(fresh, k.path); errors.Is(err, fs.ErrExist) {
			err = errors.Join(os.RemoveAll(k.path), os.Rename(fresh, k.path))
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", k.path, errors.Join(err, os.RemoveAll(fresh), k.drop()))
	}
	return nil
}

// piece is how much of a state is written at once: it need not all be in memory.
const piece = 64 << 10

// begin writes the first line and the first block. It sorts the entries.
func (k *keeper) begin(revision int64, entries []desired.Entry) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(k.file.Fd()), &stat); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	k.sum = sha256.New()
	text := append(make([]byte, 0, piece+1<<10), k.whose.header(stat.Ino)...)
	desired.Sort(entries)
	for _, e := range entries {
		if text = append(desired.AppendRecord(text, e), '\n'); len(text) < piece {
			continue
		}
		if err := k.add(text); err != nil {
			return err
		}
		text = text[:0]
	}
	err := k.write(revision, text)
	k.state, k.more = k.more, 0
	return err
}

// add writes a part of a block.
func (k *keeper) add(text []byte) error {
	k.sum.Write(text)
	n, err := k.file.Write(text)
	k.more += n
	return err
}

// write writes a block, or the rest of one, and what it ends with.
func (k *keeper) write(revision int64, block []byte) error {
	block = fmt.Appendf(block, "%s%d%s", blockEnd, revision, endSum)
	k.sum.Write(block)
	check := digest(k.sum) + "\n"
	io.WriteString(k.sum, check)
	n, err := k.file.Write(append(block, check...))
	k.more += n
	return err
}

// note adds a delta to the copy, before it is carried out. A full one makes an end of
// the copy, until it is replaced. When a delta cannot be written there is no copy any
// more either.
func (k *keeper) note(d desired.Delta) error {
	switch {
	case d.Full:
		return k.drop()
	case k.file == nil:
		return nil
	}
	var block []byte
	for _, e := range d.Put {
		block = append(desired.AppendRecord(block, e), '\n')
	}
	for _, key := range d.Delete {
		block = append(append(append(block, deletion...), key.String()...), '\n')
	}
	if err := k.write(d.Revision, block); err != nil {
		return fmt.Errorf("write %s: %w", k.path, errors.Join(err, k.drop()))
	}
	return nil
}

// drop removes a copy that is not current any more.
func (k *keeper) drop() error {
	k.close()
	if err := os.Remove(k.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (k *keeper) close() {
	if k.file != nil {
		k.file.Close()
	}
	k.file = nil
}
