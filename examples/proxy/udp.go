package main

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const (
	// udpBatch is how many datagrams are read and written with one system call.
	udpBatch = 32
	// udpWrite is how many are written with one: a system call of more than some 20 µs is
	// taken for one that waits, and the Go runtime then hands the processor to another thread.
	udpWrite = 8
	// udpQuery is the largest query over UDP: what DNS software commonly offers to
	// take. One that is cut off does not unpack.
	udpQuery = 4096
	// udpBuffer is what is asked of the kernel for a socket: some thousand queries, so
	// that none is lost while the loop is kept from running.
	udpBuffer = 1 << 20
	// udpFailures is how many reads in a row may fail before there is a pause between
	// them: as many ICMP messages as a batch of answers can lead to.
	udpFailures = udpBatch
)

// batchConn reads and writes several datagrams at once, on systems where that can be.
// ipv4.PacketConn and ipv6.PacketConn are.
type batchConn interface {
	ReadBatch(messages []ipv4.Message, flags int) (int, error)
	WriteBatch(messages []ipv4.Message, flags int) (int, error)
}

// udpListener answers over UDP. What the cache holds is answered in the loop that reads;
// what must be searched gets a worker.
type udpListener struct {
	conn    *net.UDPConn
	batch   batchConn
	handler *handler
	tally   *tally
	control int // bytes of control messages: 0 unless the socket has many addresses
	workers workers
	ended   func() // endQuery
	stopped atomic.Bool

	in, out []ipv4.Message
	read    time.Time // when those of in were
	last    destination
}

// destination is what a datagram was sent to.
type destination struct {
	control []byte // as received
	source  []byte // control message of the answer
	ok      bool
}

func newUDPListener(conn *net.UDPConn, h *handler) *udpListener {
	_ = conn.SetReadBuffer(udpBuffer)  // as much as the system allows
	_ = conn.SetWriteBuffer(udpBuffer) // the same
	l := &udpListener{conn: conn, handler: h, tally: h.metrics.newTally(overUDP), workers: workers{handler: h}}
	l.ended = l.endQuery
	at := addrPort(conn.LocalAddr()).Addr()
	if at.Is4() {
		l.batch = ipv4.NewPacketConn(conn)
	} else {
		l.batch = ipv6.NewPacketConn(conn)
	}
	if at.IsUnspecified() {
		l.control = askDestination(conn, at)
	}
	l.in, l.out = make([]ipv4.Message, udpBatch), make([]ipv4.Message, 0, udpBatch)
	for i := range l.in {
		l.in[i].Buffers = [][]byte{make([]byte, udpQuery)}
		l.in[i].OOB = make([]byte, l.control)
	}
	return l
}

func (l *udpListener) String() string { return "udp " + l.conn.LocalAddr().String() }

func (l *udpListener) serve() error {
	err := l.loop()
	l.workers.stop()
	return err
}

func (l *udpListener) stop() {
	l.stopped.Store(true)
	_ = l.conn.SetReadDeadline(time.Now().Add(stopGrace)) // fails if it is closed already
}

func (l *udpListener) close() error { return ignoreClosed(l.conn.Close()) }

func (l *udpListener) loop() error {
	buffers := make([][]byte, udpBatch)
	for i := range buffers {
		buffers[i] = make([]byte, 0, udpSize)
	}
	for failures := 0; ; {
		n, err := l.batch.ReadBatch(l.in, 0)
		switch {
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			if l.stopped.Load() {
				return nil
			}
			return err
		case err != nil:
			if failures++; failures > udpFailures {
				time.Sleep(acceptPause)
			}
			continue // an ICMP message about an earlier answer, on some systems
		}
		failures = 0
		l.read, l.out = time.Now(), l.out[:0]
		for i := range l.in[:n] {
			l.take(&l.in[i], buffers[i])
		}
		l.flush()
	}
}

// take answers one datagram: at once, with an answer made in buffer, or later.
func (l *udpListener) take(m *ipv4.Message, buffer []byte) {
	remote, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		return
	}
	wire, client := m.Buffers[0][:m.N], addrPort(remote)
	source, answerable := l.source(m)
	if !answerable || !isHost(client) {
		l.tally.received(ignored)
		return
	}
	v := l.handler.judge(l.read, client.Addr(), wire)
	l.tally.received(v)
	if v == ignored {
		return
	}
	if r := turnAway(v, overUDP, wire); r != nil {
		l.reply(l.refusal(buffer, r, wire, remote), source, remote)
		return
	}
	if answer, ok := l.handler.hit(buffer, wire, udpSize); ok {
		l.tally.hit(answer)
		l.reply(answer, source, remote)
		return
	}
	if r := l.answerLater(wire, source, remote, client); r != nil {
		l.reply(l.refusal(buffer, r, wire, remote), source, remote)
	}
}

// reply has an answer sent with the next batch.
func (l *udpListener) reply(answer, source []byte, remote *net.UDPAddr) {
	n := len(l.out)
	l.out = l.out[:n+1] // there is room for as many as are read at once
	m := &l.out[n]
	m.Buffers, m.Addr, m.OOB = append(m.Buffers[:0], answer), remote, source
}

// refusal makes an answer without records in buffer.
func (l *udpListener) refusal(buffer []byte, r *refusal, wire []byte, remote *net.UDPAddr) []byte {
	answer := appendRefusal(buffer, wire, r.rcode, r.why)
	l.tally.answered(answer, 0)
	if l.handler.logQueries {
		q := l.query(wire, nil, remote, addrPort(remote))
		l.handler.logRefusal(&q, answer, r)
	}
	return answer
}

// isHost reports whether an answer can be sent to client at all: nobody receives at port 0
// (RFC 768), and groups and broadcast addresses send nothing (RFC 1122 §3.2.1.3).
func isHost(client netip.AddrPort) bool {
	addr := client.Addr()
	return client.Port() != 0 && !addr.IsUnspecified() && !isGroup(addr)
}

// isGroup reports whether an address is several hosts' by itself.
func isGroup(addr netip.Addr) bool {
	return addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// flush sends the answers that are ready. One that cannot be sent is left out: the first
// of those that were not, whatever number comes with the error, which is -1 as a rule.
func (l *udpListener) flush() {
	for out := l.out; len(out) > 0; {
		n, err := l.batch.WriteBatch(out[:min(len(out), udpWrite)], 0)
		if n = max(n, 0); err != nil || n == 0 {
			n++
		}
		out = out[min(n, len(out)):]
	}
}

// query returns what was received. The bytes of wire are not its own.
func (l *udpListener) query(wire, source []byte, remote *net.UDPAddr, client netip.AddrPort) query {
	return query{
		handler: l.handler, begun: l.read, transport: overUDP, tally: l.tally,
		client: client, remote: remote.AddrPort(), source: source, wire: wire, way: l,
	}
}

// send sends one answer.
func (l *udpListener) send(q *query, answer []byte) error {
	_, _, err := l.conn.WriteMsgUDPAddrPort(answer, q.source, q.remote)
	return err
}

// answerLater has a worker answer a query, unless there are too many.
func (l *udpListener) answerLater(wire, source []byte, remote *net.UDPAddr, client netip.AddrPort) *refusal {
	h := l.handler
	leave := h.hold(client.Addr(), len(wire))
	if leave == nil {
		return &refuseBytes
	}
	if h.pending.Add(1) > h.maxPending {
		h.pending.Add(-1)
		leave()
		return &refuseAll
	}
	w := l.workers.hire()
	w.query, w.leave, w.ended = l.query(wire, source, remote, client), leave, l.ended
	w.wire = append(w.short[:0], wire...) // what it was read into is used again
	w.begin()
	return nil
}

// endQuery is called when a worker has answered a query.
func (l *udpListener) endQuery() { l.handler.pending.Add(-1) }

// controlSize is enough for the address that a datagram was sent to.
const controlSize = 64

// askDestination has the kernel say which of this host's addresses a datagram was sent
// to. Its answer must come from there.
func askDestination(conn *net.UDPConn, at netip.Addr) (control int) {
	var err error
	if at.Is4() {
		err = ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst, true)
	} else {
		err = ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst, true)
	}
	if err != nil {
		return 0 // the system chooses the source
	}
	return controlSize
}

// source returns the control message with which an answer to m leaves from the address that
// m was sent to; nil: the only one. It is false when that is a group or broadcast address,
// which nothing may come from (RFC 1122 §3.2.1.3). Most datagrams are sent to the address that the
// one before was sent to.
func (l *udpListener) source(m *ipv4.Message) (control []byte, ok bool) {
	if l.control == 0 || m.NN == 0 {
		return nil, true
	}
	if received := m.OOB[:m.NN]; !bytes.Equal(received, l.last.control) {
		l.last.control = append(l.last.control[:0], received...)
		l.last.source, l.last.ok = sourceFor(received)
	}
	return l.last.source, l.last.ok
}

// sourceFor is source for the control message that came with a datagram.
func sourceFor(received []byte) (control []byte, ok bool) {
	var got4 ipv4.ControlMessage
	if got4.Parse(received) == nil && got4.Dst != nil {
		if !isUnicast(got4.Dst) || wasBroadcast(received) {
			return nil, false
		}
		return (&ipv4.ControlMessage{Src: got4.Dst}).Marshal(), true
	}
	var got6 ipv6.ControlMessage
	if got6.Parse(received) == nil && got6.Dst != nil {
		if !isUnicast(got6.Dst) {
			return nil, false
		}
		return (&ipv6.ControlMessage{Src: got6.Dst, IfIndex: got6.IfIndex}).Marshal(), true
	}
	return nil, true
}

// isUnicast reports whether a datagram was sent to one host, as far as its address says.
func isUnicast(to net.IP) bool {
	addr, ok := netip.AddrFromSlice(to)
	return ok && !isGroup(addr.Unmap())
}
