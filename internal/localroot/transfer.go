package localroot

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// idleTime is how long a server may take for one message of a transfer, or for a connection. BIND
// and Unbound give up after longer; but there are other servers, and the next try is 15 minutes
// away.
const idleTime = 10 * time.Second

// errUnchanged says that a source has nothing newer than what is held.
var errUnchanged = errors.New("unchanged")

// transfer is the transfer of the zone from one server (RFC 5936).
type transfer struct {
	conn  net.Conn
	zone  dnsname.Name
	bytes int
}

// Dial opens a connection to a server.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// fetchAXFR asks a server whether it has a newer copy than the one held, and for that. It asks for
// the SOA first, so that a copy which is up to date costs two small messages.
func fetchAXFR(ctx context.Context, dial Dial, server netip.AddrPort, config *tls.Config, apex dnsname.Name, held *Zone) (*contents, error) {
	conn, err := connect(ctx, dial, server, config)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	t := transfer{conn: conn, zone: apex}
	z, err := t.run(held)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return z, err
}

// connect opens a connection, with TLS if config is not nil (RFC 9103).
func connect(ctx context.Context, dial Dial, server netip.AddrPort, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, idleTime)
	defer cancel()
	conn, err := dial(ctx, "tcp", server.String())
	if err != nil || config == nil {
		return conn, err
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

func (t *transfer) run(held *Zone) (*contents, error) {
	if held != nil {
		serial, err := t.askSerial()
		switch {
		case err != nil:
			return nil, err
		case serial == held.Serial:
			return nil, errUnchanged
		case older(serial, held.Serial):
			return nil, olderThan(serial, held.Serial)
		}
	}
	c := collector{apex: t.zone}
	id, err := t.send(dns.TypeAXFR)
	if err != nil {
		return nil, err
	}
	for first := ""; ; {
		m, err := t.receive(id, dns.TypeAXFR)
		if err != nil {
			return nil, err
		}
		done, err := t.take(&c, m, &first)
		if err != nil {
			return nil, err
		}
		if done {
			return c.finish()
		}
	}
}

// older reports whether a serial number is older than another (RFC 1982 §3.2).
func older(a, b uint32) bool { return int32(a-b) < 0 }

func olderThan(serial, held uint32) error {
	return &Error{Fault: FaultSerial, Serial: serial, Err: fmt.Errorf("older than the copy in use, serial %d", held)}
}

// askSerial asks for the serial number of the server's copy.
func (t *transfer) askSerial() (uint32, error) {
	id, err := t.send(dns.TypeSOA)
	if err != nil {
		return 0, err
	}
	m, err := t.receive(id, dns.TypeSOA)
	if err != nil {
		return 0, err
	}
	for _, rec := range m.Answer {
		if rec.Type == dns.TypeSOA && rec.Owner == t.zone {
			rdata, err := m.AppendRData(nil, rec)
			if soa, ok := wire.ParseSOA(string(rdata)); ok && err == nil {
				return soa.Serial, nil
			}
		}
	}
	return 0, errors.New("no SOA record in the answer")
}

func (t *transfer) send(rrtype uint16) (id uint16, err error) {
	q := wire.Query{ID: uint16(rand.Uint32()), Name: t.zone, Type: rrtype, Class: dns.ClassINET}
	query := q.AppendTo(make([]byte, 2, 32))
	binary.BigEndian.PutUint16(query, uint16(len(query)-2))
	if err := t.conn.SetDeadline(time.Now().Add(idleTime)); err != nil {
		return 0, err
	}
	_, err = t.conn.Write(query)
	return q.ID, err
}

// receive reads the next message of the answer to a query.
func (t *transfer) receive(id, rrtype uint16) (*wire.Message, error) {
	if err := t.conn.SetDeadline(time.Now().Add(idleTime)); err != nil {
		return nil, err
	}
	var head [2]byte
	if _, err := io.ReadFull(t.conn, head[:]); err != nil {
		return nil, cutShort(err)
	}
	msg := make([]byte, binary.BigEndian.Uint16(head[:]))
	if t.bytes += len(msg); t.bytes > MaxBytes {
		return nil, faultf(FaultSize, "a transfer of more than %d bytes", MaxBytes)
	}
	if _, err := io.ReadFull(t.conn, msg); err != nil {
		return nil, cutShort(err)
	}
	m, err := wire.Parse(msg)
	switch {
	case err != nil:
		return nil, faultf(FaultSyntax, "transfer: %w", err)
	case m.ID != id || m.Flags&(wire.QR|wire.TC) != wire.QR || m.Opcode() != dns.OpcodeQuery,
		!m.NoQuestion && m.Question != wire.Question{Name: t.zone, Type: rrtype, Class: dns.ClassINET}:
		return nil, faultf(FaultSyntax, "transfer: a message that is no answer to the query")
	case m.Rcode() != dns.RcodeSuccess:
		return nil, fmt.Errorf("%s: the server does not transfer the zone", wire.RcodeName(m.Rcode()))
	case len(m.Answer) == 0:
		return nil, errors.New("the server sent a message without records: it does not transfer the zone")
	}
	return m, nil
}

// cutShort says what the end of a connection means before the end of an answer.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the server ended the connection before the end of the answer: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// take takes in the records of a message, and reports whether they are the last: the zone is
// between two equal SOA records (RFC 5936 §2.2). first is the RDATA of the first.
func (t *transfer) take(c *collector, m *wire.Message, first *string) (done bool, err error) {
	for i, rec := range m.Answer {
		rdata, err := m.AppendRData(nil, rec)
		if err != nil {
			return false, faultf(FaultSyntax, "transfer: %s %s: %w", rec.Owner, dns.Type(rec.Type), err)
		}
		isSOA := rec.Type == dns.TypeSOA && rec.Owner == t.zone
		switch {
		case *first == "" && !isSOA:
			return false, faultf(FaultSyntax, "transfer: it does not begin with the SOA record")
		case *first == "":
			*first = string(rdata)
		case isSOA && string(rdata) != *first:
			return false, faultf(FaultSyntax, "transfer: the zone changed meanwhile")
		case isSOA && i < len(m.Answer)-1:
			return false, faultf(FaultSyntax, "transfer: records behind its end")
		case isSOA:
			return true, nil
		}
		if err := c.add(rec.Owner, rec.Type, rec.Class, rec.TTL, string(rdata)); err != nil {
			return false, err
		}
	}
	return false, nil
}
