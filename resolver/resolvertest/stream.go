package resolvertest

import (
	"encoding/binary"
	"io"
	"net/netip"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// lengthSize is how many bytes TCP has before each message (RFC 1035 §4.2.2).
const lengthSize = 2

// streamConn is a TCP connection to a server.
type streamConn struct {
	endpoint
	// The fields below are guarded by mu.
	partial []byte    // written, but not yet a whole query
	free    time.Time // when the server has sent its slow packets
	unread  []byte    // arrived, but not yet read
	end     error     // what Read returns once unread is empty
	broken  bool      // the server sends no more
}

func newStreamConn(in *Internet, remote netip.AddrPort) *streamConn {
	c := new(streamConn)
	c.init(in, "tcp", remote)
	return c
}

// Write takes bytes of queries; each query that is complete is answered.
func (c *streamConn) Write(b []byte) (int, error) {
	if err := c.writable(); err != nil {
		return 0, c.failure("write", err)
	}
	for _, query := range c.queries(b) {
		now := time.Now()
		for _, p := range c.in.handle(c.remote, c.network, netip.AddrPort{}, query) {
			c.send(now, p)
		}
	}
	return len(b), nil
}

// queries adds bytes to what was written and takes the whole queries out.
func (c *streamConn) queries(b []byte) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return nil // the server reads no more
	}
	c.partial = append(c.partial, b...)
	var queries [][]byte
	for {
		query, rest, ok := frame(c.partial)
		if !ok {
			return queries
		}
		queries = append(queries, query)
		c.partial = rest
	}
}

// frame takes the first whole message off a stream.
func frame(stream []byte) (message, rest []byte, ok bool) {
	if len(stream) < lengthSize {
		return nil, stream, false
	}
	end := lengthSize + int(binary.BigEndian.Uint16(stream))
	if len(stream) < end {
		return nil, stream, false
	}
	return stream[lengthSize:end:end], stream[end:], true
}

// framed puts the length before a message. A message longer than the largest length is cut off,
// since no server can send it.
func framed(message []byte) []byte {
	message = message[:min(len(message), dns.MaxMsgSize)]
	out := binary.BigEndian.AppendUint16(make([]byte, 0, lengthSize+len(message)), uint16(len(message)))
	return append(out, message...)
}

// send queues a packet: at once, or byte by byte. Later packets wait until a slow
// one is out, since the bytes of two messages cannot mix.
func (c *streamConn) send(now time.Time, p packet) {
	at := now.Add(p.after)
	c.mu.Lock()
	if c.broken {
		c.mu.Unlock()
		return
	}
	if at.Before(c.free) {
		at = c.free
	}
	partial := p.event == message && p.partial > 0
	if p.event != message || partial {
		c.broken = true
	}
	stream := framed(p.wire)
	if partial {
		stream = stream[:min(p.partial, len(stream))]
	}
	if p.pace > 0 {
		c.free = at.Add(time.Duration(len(stream)-1) * p.pace)
	}
	c.mu.Unlock()
	if p.event != message {
		c.arrive(arrival{at: at, packet: p})
		return
	}
	c.trickle(at, stream, p.pace)
	if partial {
		c.arrive(arrival{at: at.Add(time.Duration(len(stream)) * p.pace), packet: packet{event: streamEnd}})
	}
}

// trickle queues bytes, pace apart or all at once.
func (c *streamConn) trickle(at time.Time, stream []byte, pace time.Duration) {
	if pace <= 0 {
		c.arrive(arrival{at: at, packet: packet{wire: stream}})
		return
	}
	for i := range stream {
		c.arrive(arrival{at: at.Add(time.Duration(i) * pace), packet: packet{wire: stream[i : i+1]}})
	}
}

// Read returns bytes as they have arrived.
func (c *streamConn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for {
		if n, err := c.take(b); n > 0 || err != nil {
			return n, c.failureUnlessEOF(err)
		}
		a, err := c.next()
		if err != nil {
			return 0, c.failure("read", err)
		}
		c.took(a)
	}
}

// take returns the bytes that have arrived already, and the end after them.
func (c *streamConn) take(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.readable(); err != nil {
		return 0, err
	}
	n := copy(b, c.unread)
	c.unread = c.unread[n:]
	if n == 0 {
		return 0, c.end
	}
	return n, nil
}

// took notes a packet that has come off the queue.
func (c *streamConn) took(a arrival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch a.event {
	case message:
		c.unread = append(c.unread, a.wire...)
	case streamEnd:
		c.end = io.EOF
	case streamReset, portRefused:
		c.end = syscall.ECONNRESET
	}
}

// failureUnlessEOF leaves io.EOF as it is, as net does.
func (c *streamConn) failureUnlessEOF(err error) error {
	if err == io.EOF {
		return err
	}
	return c.failure("read", err)
}
