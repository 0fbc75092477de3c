package localroot

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/atomicfile"
	"github.com/iterdns/iterdns/internal/wire"
)

// newMode is the mode of a file that was not there before.
const newMode = 0o644

// save replaces the file by a copy. The file's time is when a source said that the copy is up to
// date.
func (z *contents) save(path string, asOf time.Time) error { return replace(path, asOf, z.writeText) }

// replace replaces a file by what write writes, in one step, so that readers find a whole file at any
// time, also after a crash. Symbolic links to it stay, and so does its mode.
func replace(path string, asOf time.Time, write func(io.Writer) error) error {
	err := replaceOnce(path, asOf, write)
	if errors.Is(err, fs.ErrNotExist) { // another process, which starts with the same file, has removed the unfinished one
		err = replaceOnce(path, asOf, write)
	}
	return err
}

func replaceOnce(path string, asOf time.Time, write func(io.Writer) error) error {
	w, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	defer w.Discard()
	if err := errors.Join(write(w), w.Finish(w.Mode(newMode))); err != nil {
		return err
	}
	if err := os.Chtimes(w.Name(), asOf, asOf); err != nil {
		return err
	}
	return w.Replace()
}

// serialIn returns the serial number of the copy in a file; false: there is none that begins as save
// writes it.
func serialIn(path string) (uint32, bool) {
	info, err := os.Stat(path) // before it is opened: a pipe would wait for its writer
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer file.Close()
	const enough = 4096 // for an SOA record with names of any length
	text, err := io.ReadAll(io.LimitReader(file, enough))
	if err != nil {
		return 0, false
	}
	rr, _ := dns.NewZoneParser(strings.NewReader(string(text)), ".", "").Next()
	soa, ok := rr.(*dns.SOA)
	if !ok {
		return 0, false
	}
	return soa.Serial, true
}

// keep notes in the file that the copy is up to date at a time. If the file does not hold that copy, as
// it was deleted, damaged or replaced by an older one, it is written anew; a newer one is another
// process's, and stays.
func (z *Zone) keep(path string, asOf time.Time) error {
	switch serial, ok := serialIn(path); {
	case ok && serial == z.Serial:
		return os.Chtimes(path, asOf, asOf)
	case ok && !older(serial, z.Serial):
		return nil
	}
	c := z.contents()
	// A zone that keeps to RFC 2181 §5.2, with one TTL in each RRset, is the same again.
	if err := c.checkDigest(); err != nil {
		return errors.New("the copy in memory cannot be written: TTLs differ within an RRset, or signatures are of none")
	}
	return c.save(path, asOf)
}

// contents returns the records of the copy, as far as they were needed.
func (z *Zone) contents() *contents {
	c := &contents{apex: z.apex, records: make([]record, 0, z.Records)}
	for i := range z.sets {
		s := &z.sets[i]
		for rdata := range s.Records.All() {
			c.records = append(c.records, record{s.Owner, s.Type, s.TTL, rdata, wire.CanonicalRData(s.Type, rdata)})
		}
		for rdata := range s.Signatures.All() {
			c.records = append(c.records, record{s.Owner, dns.TypeRRSIG, s.TTL, rdata, wire.CanonicalRData(dns.TypeRRSIG, rdata)})
		}
	}
	c.sort()
	if soa := c.of(z.apex, dns.TypeSOA); len(soa) > 0 {
		c.soa = soa[0]
	}
	return c
}
