package wire

import (
	"encoding/binary"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// walker reads names and records and counts what they expand to.
type walker struct {
	msg      []byte
	known    dnsname.Name // a name that is likely to be met; "": none
	expanded int
	seen     [8]seenName // owners met, by where they stand; most messages have few
	nseen    int
}

type seenName struct {
	off  int
	name dnsname.Name
}

func (w *walker) question(m *Message, count int) (int, error) {
	if count == 0 {
		m.NoQuestion = true
		return HeaderLen, nil
	}
	name, off, err := w.name(HeaderLen)
	if err != nil {
		return 0, err
	}
	if off+4 > len(w.msg) {
		return 0, fail(off, ErrShort)
	}
	m.Question = Question{
		Name:  name,
		Type:  binary.BigEndian.Uint16(w.msg[off:]),
		Class: binary.BigEndian.Uint16(w.msg[off+2:]),
	}
	return off + 4, nil
}

// record reads the record at off and returns where the next one starts.
func (w *walker) record(off int, rec *Record) (int, error) {
	owner, off, err := w.name(off)
	if err != nil {
		return 0, err
	}
	b := w.msg
	if off+10 > len(b) {
		return 0, fail(off, ErrShort)
	}
	*rec = Record{
		Owner:     owner,
		Type:      binary.BigEndian.Uint16(b[off:]),
		Class:     binary.BigEndian.Uint16(b[off+2:]),
		TTL:       binary.BigEndian.Uint32(b[off+4:]),
		TTLOffset: off + 4,
		rdata:     off + 10,
		rdlen:     int(binary.BigEndian.Uint16(b[off+8:])),
	}
	end := rec.rdata + rec.rdlen
	if end > len(b) {
		return 0, fail(off+8, ErrShort)
	}
	return end, nil
}

// name reads the owner name at off. Names are remembered by the place they are
// written at, so that the pointers of one RRset share one string.
func (w *walker) name(off int) (dnsname.Name, int, error) {
	at, next := off, 0
	if off+1 < len(w.msg) && w.msg[off]&0xC0 == 0xC0 {
		at, next = int(binary.BigEndian.Uint16(w.msg[off:])&0x3FFF), off+2
	}
	for _, s := range w.seen[:w.nseen] {
		if s.off == at && next != 0 {
			w.expanded += len(s.name)
			if w.expanded > MaxExpanded {
				return "", 0, fail(off, ErrExpansion)
			}
			return s.name, next, nil
		}
	}
	var buf [dnsname.MaxWire]byte
	written, end, err := expandName(buf[:0], w.msg, off, len(w.msg))
	if err != nil {
		return "", 0, err
	}
	w.expanded += len(written)
	if w.expanded > MaxExpanded {
		return "", 0, fail(off, ErrExpansion)
	}
	name := w.known
	if string(written) != string(name) {
		name = dnsname.Canonical(written)
	}
	if w.nseen < len(w.seen) {
		w.seen[w.nseen] = seenName{at, name}
		w.nseen++
	}
	return name, end, nil
}

// expandName appends the name at off to dst, uncompressed, and returns where it
// ends. Nothing behind limit is part of it, and pointers lead backwards only (RFC
// 1035 §4.1.4: to a prior occurrence), which excludes loops.
func expandName(dst, msg []byte, off, limit int) ([]byte, int, error) {
	start := len(dst)
	end := 0      // where the name ends in the message, once known
	lowest := off // pointers must lead below this
	for hops := 0; ; {
		if off >= limit {
			return nil, 0, fail(off, overrun(limit, msg))
		}
		c := int(msg[off])
		switch c & 0xC0 {
		case 0x00:
			if off+1+c > limit {
				return nil, 0, fail(off, overrun(limit, msg))
			}
			dst = append(dst, msg[off:off+1+c]...)
			if len(dst)-start > dnsname.MaxWire {
				return nil, 0, fail(off, ErrNameTooLong)
			}
			off += 1 + c
			if c == 0 {
				if end == 0 {
					end = off
				}
				return dst, end, nil
			}
		case 0xC0:
			if off+2 > limit {
				return nil, 0, fail(off, overrun(limit, msg))
			}
			target := int(binary.BigEndian.Uint16(msg[off:]) & 0x3FFF)
			if end == 0 {
				end = off + 2
			}
			if target >= lowest || target < HeaderLen {
				return nil, 0, fail(off, ErrPointer)
			}
			if hops++; hops > MaxHops {
				return nil, 0, fail(off, ErrHops)
			}
			off, lowest = target, target
		default:
			return nil, 0, fail(off, ErrLabelType)
		}
	}
}

// overrun returns the error for a name that goes on behind limit: the end of its RDATA, or of the message.
func overrun(limit int, msg []byte) error {
	if limit < len(msg) {
		return ErrNameExpected
	}
	return ErrShort
}
