package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"os"
)

// errOtherList is the error of an output that belongs to another list, or to other types.
var errOtherList = errors.New("the output belongs to another list")

// errNotOurs is the error of an output that holds something else than lines of this program.
var errNotOurs = errors.New("not an output of this program")

// maxSeq is the largest number of a question that -resume knows.
const maxSeq = math.MaxInt32

// maxOutputLine is the longest line that is read back. An answer has 64 KiB, and its text is some
// times longer.
const maxOutputLine = 4 << 20

// written is what the output of a run before has. The zero value is nothing.
type written struct {
	marks []uint64 // by number of the question less one: a hash of what it was; 0: it is not there
	seed  maphash.Seed
	lines uint64
	last  uint64 // the largest number
	size  int64  // of the whole lines
	cut   int64  // bytes of a line that was not whole
	tally tally  // of the lines
}

// brief is the part of a line that says which question it is, and what came of it.
type brief struct {
	Seq       uint64 `json:"seq"`
	Input     string `json:"input"`
	Name      string `json:"name"`
	Type      string `json:"type"`
	Status    status `json:"status"`
	Reason    reason `json:"reason"`
	Duplicate bool   `json:"duplicate"`
}

// readWritten reads an output. The last line may be torn, by a kill or a power cut: it is left out,
// and size is where the whole ones end. Anything else that is no line of this program is an error, so
// that a file named by mistake is left as it is.
func readWritten(file *os.File) (*written, error) { return readLines(file, func(brief) {}) }

// readLines is readWritten, and calls each for every whole line.
func readLines(file *os.File, each func(brief)) (*written, error) {
	w := &written{seed: maphash.MakeSeed()}
	b := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := readOutputLine(b)
		if err == io.EOF && len(line) == 0 {
			return w, nil
		}
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("line %d: %w", w.lines+1, err)
		}
		if err == io.EOF {
			return w, w.cutTorn(line)
		}
		if broken := w.add(line, each); broken != nil {
			return nil, fmt.Errorf("%w: line %d: %w", errNotOurs, w.lines+1, broken)
		}
		w.size += int64(len(line))
	}
}

// readOutputLine returns the next line with its end.
func readOutputLine(b *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := b.ReadSlice('\n')
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return line, err
		}
		if len(line) > maxOutputLine {
			return nil, fmt.Errorf("%w: longer than %d bytes", errNotOurs, maxOutputLine)
		}
	}
}

// firstBytes begin each line.
const firstBytes = `{"seq":`

// cutTorn leaves out a line without its end. Where it is all there is, it must look like one of ours.
func (w *written) cutTorn(line []byte) error {
	n := min(len(line), len(firstBytes))
	if w.lines == 0 && string(line[:n]) != firstBytes[:n] {
		return fmt.Errorf("%w: it has no line of it", errNotOurs)
	}
	w.cut = int64(len(line))
	return nil
}

// add takes a whole line.
func (w *written) add(line []byte, each func(brief)) error {
	var b brief
	if err := json.Unmarshal(line, &b); err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte(firstBytes)) || b.Seq == 0 || b.Seq > maxSeq || b.Status == "" {
		return errors.New("it lacks a number or a status")
	}
	for uint64(len(w.marks)) < b.Seq {
		w.marks = append(w.marks, make([]uint64, max(1024, int(b.Seq)-len(w.marks)))...)
	}
	if w.marks[b.Seq-1] != 0 {
		return fmt.Errorf("question %d is there twice", b.Seq)
	}
	w.marks[b.Seq-1] = w.mark(b.Input, b.Type)
	w.lines++
	w.last = max(w.last, b.Seq)
	w.tally.count(ending{b.Status, b.Reason, b.Duplicate})
	each(b)
	return nil
}

// mark returns a hash of a question, which is not 0.
func (w *written) mark(input, qtype string) uint64 {
	return maphash.Comparable(w.seed, [2]string{input, qtype}) | 1
}

// has reports whether the output has a question. Another one under its number is an error.
func (w *written) has(q question) (bool, error) {
	if q.seq > uint64(len(w.marks)) || w.marks[q.seq-1] == 0 {
		return false, nil
	}
	if w.marks[q.seq-1] != w.mark(q.input, typeText(q)) {
		return false, fmt.Errorf("%w: its question %d is not %.80q %s", errOtherList, q.seq, q.input, typeText(q))
	}
	return true, nil
}
