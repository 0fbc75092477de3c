package main

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// newTestHandler answers from a zone of its own.
func newTestHandler(t *testing.T, flags ...string) *handler {
	t.Helper()
	c, err := parseFlags(flags, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	r := resolvertest.New(t, "-- zone shop.example. --\nwww A 192.0.2.80\n").Resolver(t)
	return newHandler(c, r, newMetrics(r), slog.New(slog.DiscardHandler))
}

// halfConn is a connection whose client stops reading in the middle of an answer.
type halfConn struct {
	net.Conn
	room int // bytes that still go through
}

func (c *halfConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1024} }
func (c *halfConn) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 53} }

func (c *halfConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b[:min(len(b), c.room)])
	c.room -= n
	if err == nil && n < len(b) {
		c.room = 1 << 20 // it reads on later
		return n, os.ErrDeadlineExceeded
	}
	return n, err
}

// noWay is a way back on which nothing may be sent.
type noWay struct{ *testing.T }

func (w noWay) send(*query, []byte) error {
	w.Error("sent")
	return nil
}

// Nothing follows an answer that was sent in part, as it would be read as the rest of it,
// and no answer is sent behind a length that is not its own.
func TestAttackHalfFrame(t *testing.T) {
	const half = 20
	ours, theirs := net.Pipe()
	l := newStreamListener(nil, overTCP, newTestHandler(t))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.serveConn(&halfConn{ours, half})
	}()
	go func() {
		for range 3 {
			wire, _ := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA).Pack()
			if writeFrame(theirs, append(make([]byte, lengthSize), wire...)) != nil {
				return // closed, as it must be
			}
		}
	}()
	_ = theirs.SetReadDeadline(time.Now().Add(patience / 6)) // or what goes wrong would never end
	got, err := io.ReadAll(theirs)
	_ = theirs.Close()
	if err != nil || len(got) > half {
		t.Errorf("got %d bytes and %v, want the first %d and the end", len(got), err, half)
	}
	<-ended
	if err := writeFrame(ours, make([]byte, lengthSize+dns.MaxMsgSize+1)); !errors.Is(err, errTooLong) {
		t.Errorf("a frame that is too long: got %v, want %v", err, errTooLong)
	}
	q := &query{tally: l.tally, way: noWay{t}}
	if err := q.deliver(make([]byte, dns.MaxMsgSize+1)); !errors.Is(err, errTooLong) {
		t.Errorf("an answer that is too long: got %v, want %v", err, errTooLong)
	}
}

// Queries that come at once are answered each: out of the cache, by workers, or not read at all, long
// ones among them.
func TestStreamOfQueries(t *testing.T) {
	ours, theirs := net.Pipe()
	l := newStreamListener(nil, overTCP, newTestHandler(t))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.serveConn(&halfConn{ours, 1 << 20})
		l.workers.stop()
		_ = ours.Close()
	}()
	_ = theirs.SetDeadline(time.Now().Add(patience))
	const all = 200
	want := make(map[uint16]int)
	var frames []byte
	for id := range uint16(all) {
		query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
		want[id] = dns.RcodeSuccess
		switch id % 4 {
		case 1:
			query.SetQuestion("localhost.", dns.TypeA)
		case 2: // longer than what is read at once
			query.SetEdns0(udpSize, false)
			query.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, smallQuery+int(id))}}
		case 3: // nobody reads the rest
			query.Opcode, want[id] = dns.OpcodeNotify, dns.RcodeNotImplemented
			query.Extra = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeTXT}, Txt: []string{strings.Repeat("x", 255), strings.Repeat("x", 255), "x"}}}
		}
		query.Id = id
		wire, err := query.Pack()
		if err != nil {
			t.Fatal(err)
		}
		frames = append(binary.BigEndian.AppendUint16(frames, uint16(len(wire))), wire...)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		if _, err := theirs.Write(frames); err != nil {
			t.Error(err)
		}
	}()
	in := &dns.Conn{Conn: theirs}
	for range all {
		reply, err := in.ReadMsg()
		if err != nil {
			t.Fatalf("%d answers are missing: %v", len(want), err)
		}
		if rcode, asked := want[reply.Id]; !asked || reply.Rcode != rcode {
			t.Errorf("got\n%v\nwant %s once", reply, dns.RcodeToString[rcode])
		}
		delete(want, reply.Id)
	}
	<-written
	_ = theirs.Close()
	<-ended
}
