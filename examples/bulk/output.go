package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// flushAt is how many bytes of lines are written at once, and flushEvery how long a line
	// waits for others.
	flushAt    = 32 << 10
	flushEvery = 200 * time.Millisecond
	// syncEvery is how often the file is made to last: a power cut costs no more than that, and
	// these questions are asked again.
	syncEvery = 5 * time.Second
)

// errOutput is the error of a run whose lines cannot be written.
var errOutput = errors.New("cannot write the output")

// sink is where lines go. A file has all of it; a pipe only Write.
type sink struct {
	io.Writer
	truncate func(size int64) error // nil: what was written stays
	sync     func() error           // nil: there is nothing to make last
	close    func() error
}

// output writes whole lines. It keeps them for a moment; the lines that it has written are whole
// ones whenever the process is killed, but for the last.
type output struct {
	mu     sync.Mutex
	to     sink
	buffer []byte
	ends   []ending // of the lines in buffer
	tally  *tally   // of the lines that are written
	size   int64    // of whole lines, on disk
	synced time.Time
	err    error // the first; nothing is written after it
}

// openOutput opens the output, and reads what a run before has written there.
func openOutput(c *config, stdout io.Writer) (*output, *written, error) {
	if c.output == "" {
		return &output{to: sink{Writer: stdout}, synced: time.Now()}, &written{}, nil
	}
	flags := os.O_RDWR | os.O_CREATE
	if info, err := os.Stat(c.output); !c.resume && (err != nil || info.Mode().IsRegular()) {
		flags |= os.O_EXCL
	}
	file, err := os.OpenFile(c.output, flags, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, nil, fmt.Errorf("%w: -resume goes on with it", err)
	}
	if err != nil {
		return nil, nil, err
	}
	o, before, err := openFile(c, file)
	if err != nil {
		file.Close() // err says more
		return nil, nil, err
	}
	return o, before, nil
}

func openFile(c *config, file *os.File) (*output, *written, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		if c.resume {
			return nil, nil, fmt.Errorf("-resume: %s is no regular file", file.Name())
		}
		return &output{to: sink{Writer: file, close: file.Close}, synced: time.Now()}, &written{}, nil
	}
	if err := lock(file); err != nil {
		return nil, nil, fmt.Errorf("%s: another process writes to it: %w", file.Name(), err)
	}
	before, err := readWritten(file)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	if err := errors.Join(file.Truncate(before.size), seekTo(file, before.size)); err != nil {
		return nil, nil, err
	}
	truncate := func(size int64) error { return errors.Join(file.Truncate(size), seekTo(file, size)) }
	return &output{
		to:   sink{Writer: file, truncate: truncate, sync: file.Sync, close: file.Close},
		size: before.size, synced: time.Now(),
	}, before, nil
}

func seekTo(file *os.File, size int64) error {
	_, err := file.Seek(size, io.SeekStart)
	return err
}

// notDone says, for people, what becomes of a list that is not done.
func (o *output) notDone() string {
	if o.to.truncate == nil {
		return "the list is not done, and -resume cannot continue it: that needs -o with a regular file"
	}
	return "the list is not done, and the same command with -resume continues it"
}

// add writes a line, now or soon, and counts it then. The error is that of any line before, too.
func (o *output) add(line []byte, e ending) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	o.buffer = append(append(o.buffer, line...), '\n')
	o.ends = append(o.ends, e)
	if len(o.buffer) >= flushAt {
		o.flush()
	}
	return o.err
}

// tick writes what waits, and makes it last if that is due.
func (o *output) tick(now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	if o.err == nil && o.to.sync != nil && now.Sub(o.synced) >= syncEvery {
		o.synced = now
		o.fail(o.to.sync())
	}
	return o.err
}

// flush writes what waits. A part that was written of it is taken back to the last whole line, where
// that can be done.
func (o *output) flush() {
	if o.err != nil || len(o.buffer) == 0 {
		return
	}
	n, err := o.to.Write(o.buffer)
	whole := bytes.LastIndexByte(o.buffer[:max(0, min(n, len(o.buffer)))], '\n') + 1
	for _, e := range o.ends[:bytes.Count(o.buffer[:whole], []byte("\n"))] {
		o.tally.count(e)
	}
	o.size += int64(whole)
	o.buffer, o.ends = o.buffer[:0], o.ends[:0]
	if err == nil {
		return
	}
	o.fail(err)
	if o.to.truncate != nil {
		if err := o.to.truncate(o.size); err != nil {
			o.err = errors.Join(o.err, err) // -resume cuts the rest
		}
	}
}

func (o *output) fail(err error) {
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("%w: %w", errOutput, err)
	}
}

// close writes the rest and makes it last.
func (o *output) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	failed := o.err != nil // which add or tick has returned
	o.flush()
	if o.to.sync != nil && o.err == nil {
		o.fail(o.to.sync())
	}
	if o.to.close != nil {
		o.fail(o.to.close())
	}
	if failed {
		return nil
	}
	return o.err
}
