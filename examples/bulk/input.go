package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"strings"

	"github.com/miekg/dns"
)

// lists are the files of names, read one after the other.
type lists struct {
	files  []*os.File // nil: standard input
	stdin  io.Reader
	config *config
}

// openLists opens all files, so that one that is missing is noticed before a question is asked.
func openLists(c *config, stdin io.Reader) (*lists, error) {
	l := &lists{stdin: stdin, config: c}
	for _, name := range c.files {
		file, err := os.Open(name)
		if err != nil {
			l.close()
			return nil, err
		}
		l.files = append(l.files, file)
	}
	return l, nil
}

func (l *lists) close() {
	for _, file := range l.files {
		file.Close() // nothing was written
	}
}

// areFiles reports whether the lists can be read twice.
func (l *lists) areFiles() bool {
	for _, file := range l.files {
		if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return len(l.files) > 0
}

// read calls each for every question, in order. An error of a file does not keep the others from
// being read: the lines before it count, and the errors are returned at the end. An error of each
// ends it at once.
func (l *lists) read(ctx context.Context, each func(question) error) error {
	var seq uint64
	var unread []error
	readers := make([]io.Reader, 0, max(1, len(l.files)))
	for _, file := range l.files {
		readers = append(readers, file)
	}
	if len(l.files) == 0 {
		readers = append(readers, l.stdin)
	}
	for i, r := range readers {
		name := "standard input"
		if len(l.files) > 0 {
			name = l.files[i].Name()
		}
		if file, ok := r.(*os.File); ok && l.areFiles() {
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		stopped, err := readList(ctx, r, func(line []byte, long bool) error {
			for _, q := range parseLine(line, long, l.config) {
				seq++
				q.seq = seq
				if err := each(q); err != nil {
					return err
				}
			}
			return nil
		})
		if stopped {
			return err
		}
		if err != nil {
			unread = append(unread, fmt.Errorf("%w: %s: %w", errUnread, name, err))
		}
	}
	return errors.Join(unread...)
}

// errUnread is the error of a list that cannot be read to its end.
var errUnread = errors.New("list not read to its end")

// byteOrderMark begins some files of UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// readList calls each for every line of r, which may be compressed by gzip, whatever its name. long
// says that the line goes on beyond maxLine. stopped says that the error is that of each or of ctx.
func readList(ctx context.Context, r io.Reader, each func(line []byte, long bool) error) (stopped bool, err error) {
	b := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := b.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) { // RFC 1952 §2.3.1
		z, err := gzip.NewReader(b)
		if err != nil {
			return false, err
		}
		b = bufio.NewReaderSize(z, 64<<10)
	}
	if mark, _ := b.Peek(len(byteOrderMark)); bytes.Equal(mark, byteOrderMark) {
		b.Discard(len(byteOrderMark)) // it has been peeked at
	}
	var line []byte
	for {
		part, err := b.ReadSlice('\n')
		room := maxLine + 2 - len(line) // with CR and LF
		long := len(part) > room
		line = append(line, part[:min(len(part), room)]...)
		for err == bufio.ErrBufferFull {
			_, err = b.ReadSlice('\n')
			long = true
		}
		if len(line) > 0 {
			long = long || len(bytes.TrimRight(line, "\r\n")) > maxLine
			if err := ctx.Err(); err != nil {
				return true, err
			}
			if err := each(bytes.TrimRight(line, "\r\n"), long); err != nil {
				return true, err
			}
		}
		line = line[:0]
		switch {
		case err == io.EOF:
			return false, nil
		case err != nil:
			return false, err
		}
	}
}

// duplicates is what becomes of a question that is in the lists before.
type duplicates uint8

const (
	duplicatesMarked  duplicates = iota // its line says so
	duplicatesRefused                   // it is an error, and is not asked
	duplicatesIgnored                   // nobody looks for them
)

func parseDuplicates(word string) (duplicates, error) {
	for d, name := range []string{"mark", "error", "ignore"} {
		if word == name {
			return duplicates(d), nil
		}
	}
	return duplicatesMarked, fmt.Errorf("-duplicates: %.40q is not mark, error or ignore", word)
}

// met knows the questions that were read, by a hash of 64 bits: among ten million, two with the same
// one are as likely as one in three hundred thousand.
type met struct {
	seed maphash.Seed
	had  map[uint64]struct{}
}

func newMet() *met { return &met{maphash.MakeSeed(), make(map[uint64]struct{})} }

// again reports whether a question was read before, in whatever letter case. Lines that are no question are not.
func (m *met) again(q question) bool {
	if q.err != nil {
		return false
	}
	h := maphash.Comparable(m.seed, question{name: strings.ToLower(q.name), qtype: q.qtype})
	if _, ok := m.had[h]; ok {
		return true
	}
	m.had[h] = struct{}{}
	return false
}

// survey is what is known of the lists before the first question is asked.
type survey struct {
	questions uint64         // 0: not known
	topLevel  map[string]int // names below each top-level domain, as far as they are counted
}

// maxTopLevel is how many top-level domains are counted; there are some 1,500.
const maxTopLevel = 3000

// surveyLists reads the lists once, if they can be read twice: how long they are, and whether the
// output is theirs.
func surveyLists(ctx context.Context, c *config, in *lists, before *written) (survey, error) {
	s := survey{topLevel: make(map[string]int)}
	if !in.areFiles() {
		return s, nil
	}
	err := in.read(ctx, func(q question) error {
		s.questions++
		if q.err == nil {
			if tld := topLevelOf(q.name); len(s.topLevel) < maxTopLevel || s.topLevel[tld] > 0 {
				s.topLevel[tld]++
			}
		}
		_, err := before.has(q)
		return err
	})
	if errors.Is(err, errUnread) { // said again when it is read
		err = nil
	}
	if err == nil && before.last > s.questions {
		err = fmt.Errorf("%w: it has question %d, and the lists have %d", errOtherList, before.last, s.questions)
	}
	return s, err
}

// topLevelOf returns the last label of an absolute name, with the final dot.
func topLevelOf(name string) string {
	begin, _ := dns.PrevLabel(name, 1)
	return name[begin:]
}
