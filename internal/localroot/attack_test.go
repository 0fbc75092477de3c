package localroot

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
)

// raw is a message of bytes behind the header of a reply to a query.
func raw(w io.Writer, query *dns.Msg, answers uint16, body []byte) error {
	b := binary.BigEndian.AppendUint16(nil, uint16(12+len(body)))
	for _, field := range []uint16{query.Id, 1 << 15, 0, answers, 0, 0} {
		b = binary.BigEndian.AppendUint16(b, field)
	}
	_, err := w.Write(append(b, body...))
	return err
}

// A server that first says it has a newer copy, and then sends whatever it likes, changes nothing, takes
// no longer than a message may, and no connection is left.
func TestHostileTransfers(t *testing.T) {
	newer := func(t *testing.T) []dns.RR {
		return recordsOf(t, rootsigner.Sign(t, smallRoot, rootsigner.Options{Signed: time.Now(), Serial: 2}))
	}
	reply := func(w io.Writer, query *dns.Msg, records ...dns.RR) {
		m := new(dns.Msg).SetReply(query)
		m.Answer = records
		write(w, m)
	}
	rootNS := &dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 60}, Ns: "a."}
	for name, c := range map[string]struct {
		send  func(w io.Writer, query *dns.Msg, zone []dns.RR)
		fault Fault
	}{
		"shrinks to its apex":                {func(w io.Writer, q *dns.Msg, zone []dns.RR) { reply(w, q, zone[0], rootNS, zone[0]) }, FaultSignature},
		"shrinks to nothing":                 {func(w io.Writer, q *dns.Msg, zone []dns.RR) { reply(w, q, zone[0], zone[0]) }, FaultSyntax},
		"SOA only, as when nothing is newer": {func(w io.Writer, q *dns.Msg, zone []dns.RR) { reply(w, q, zone[0]) }, FaultSource},
		"incremental": {func(w io.Writer, q *dns.Msg, zone []dns.RR) {
			old := dns.Copy(zone[0]).(*dns.SOA)
			old.Serial = 1
			reply(w, q, zone[0], old, zone[1], zone[0], zone[2], zone[0])
		}, FaultSyntax},
		"another serial midway": {func(w io.Writer, q *dns.Msg, zone []dns.RR) {
			next := dns.Copy(zone[0]).(*dns.SOA)
			next.Serial = 3
			reply(w, q, zone[:4]...)
			reply(w, q, append([]dns.RR{next}, zone[4:]...)...)
		}, FaultSyntax},
		"an older one than it has said": {func(w io.Writer, q *dns.Msg, zone []dns.RR) {
			old := dns.Copy(zone[0]).(*dns.SOA)
			old.Serial = 0
			reply(w, q, old, rootNS, old)
		}, FaultSerial},
		"SOA of another zone in the end": {func(w io.Writer, q *dns.Msg, zone []dns.RR) {
			other := dns.Copy(zone[0])
			other.Header().Name = "x."
			reply(w, q, append(zone[:len(zone):len(zone)], other)...)
		}, FaultSource},
		"another class": {func(w io.Writer, q *dns.Msg, zone []dns.RR) {
			ch := dns.Copy(zone[1])
			ch.Header().Class = dns.ClassCHAOS
			reply(w, q, zone[0], ch, zone[0])
		}, FaultSyntax},
		"a record of almost 64 KiB": {func(w io.Writer, q *dns.Msg, zone []dns.RR) {
			big := &dns.NULL{Hdr: dns.RR_Header{Name: "x.", Rrtype: dns.TypeNULL, Class: dns.ClassINET}, Data: strings.Repeat("x", 65_480)}
			reply(w, q, zone[0], rootNS)
			reply(w, q, big)
			reply(w, q, zone[0])
		}, FaultSignature},
		"a name that points to itself": {func(w io.Writer, q *dns.Msg, _ []dns.RR) {
			raw(w, q, 1, []byte("\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x00"))
		}, FaultSyntax},
		"names that point in a circle": {func(w io.Writer, q *dns.Msg, _ []dns.RR) {
			raw(w, q, 1, []byte("\xc0\x0e\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x00"))
		}, FaultSyntax},
		"a name that points forward": {func(w io.Writer, q *dns.Msg, _ []dns.RR) {
			raw(w, q, 1, []byte("\xc0\x18\x00\x06\x00\x01\x00\x00\x00\x00\x00\x00\x00"))
		}, FaultSyntax},
		"RDATA behind the end": {func(w io.Writer, q *dns.Msg, _ []dns.RR) {
			raw(w, q, 1, []byte("\x00\x00\x06\x00\x01\x00\x00\x00\x00\xff\xff"))
		}, FaultSyntax},
		"more records announced than sent": {func(w io.Writer, q *dns.Msg, _ []dns.RR) { raw(w, q, 65535, nil) }, FaultSyntax},
		"an SOA without numbers": {func(w io.Writer, q *dns.Msg, _ []dns.RR) {
			raw(w, q, 2, []byte("\x00\x00\x06\x00\x01\x00\x00\x00\x00\x00\x02\x00\x00"+"\x00\x00\x06\x00\x01\x00\x00\x00\x00\x00\x02\x00\x00"))
		}, FaultSyntax},
		"a message of no bytes": {func(w io.Writer, _ *dns.Msg, _ []dns.RR) { w.Write([]byte{0, 0}) }, FaultSyntax},
		"a length and no more":  {func(w io.Writer, _ *dns.Msg, _ []dns.RR) { w.Write([]byte{255, 255}) }, FaultSource},
		"a byte each second": {func(w io.Writer, q *dns.Msg, zone []dns.RR) {
			m := new(dns.Msg).SetReply(q)
			m.Answer = zone[:5]
			b, _ := m.Pack()
			for _, one := range append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) {
				time.Sleep(time.Second)
				if _, err := w.Write([]byte{one}); err != nil {
					return
				}
			}
		}, FaultSource},
		"the answer to another query": {func(w io.Writer, q *dns.Msg, zone []dns.RR) {
			q.Id++
			reply(w, q, append(zone, zone[0])...)
		}, FaultSyntax},
		"the answer about another zone": {func(w io.Writer, q *dns.Msg, zone []dns.RR) {
			q.Question[0].Name = "arpa."
			reply(w, q, append(zone, zone[0])...)
		}, FaultSyntax},
		"the answer to the SOA query once more": {func(w io.Writer, q *dns.Msg, zone []dns.RR) {
			q.Question[0].Qtype = dns.TypeSOA
			reply(w, q, append(zone, zone[0])...)
		}, FaultSyntax},
	} {
		synctest.Test(t, func(t *testing.T) {
			zone := newer(t)
			var open atomic.Int32
			dial := dialTo(func(w io.Writer, query *dns.Msg) {
				if query.Question[0].Qtype == dns.TypeSOA {
					reply(w, query, zone[0])
					return
				}
				c.send(w, query, zone)
			})
			w := newWorld(t, rootsigner.Options{Serial: 1}, func(c *Config) {
				c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := dial(ctx, network, address)
					open.Add(1)
					return counted{conn, &open}, err
				}
			})
			if err := w.round(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.config.Sources = []Source{{Name: "hostile", Server: serverAddr}}
			before, begun := w.Zone(), time.Now()
			err := w.round(t.Context())
			if err == nil || from("", err).Fault != c.fault || w.Zone() != before {
				t.Errorf("%s: got %v, want fault %d; the copy: %+v", name, err, c.fault, w.State())
			}
			if took := time.Since(begun); took > idleTime {
				t.Errorf("%s: took %v", name, took)
			}
			if n := open.Load(); n != 0 {
				t.Errorf("%s: %d connections are left open", name, n)
			}
			time.Sleep(time.Hour) // the server notices that it is alone
		})
	}
}

// counted is a connection that says when it is closed.
type counted struct {
	net.Conn
	open *atomic.Int32
}

func (c counted) Close() error {
	err := c.Conn.Close()
	c.open.Store(0)
	return err
}

// A connection that is reset midway is a source that failed.
func TestTransferIsReset(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer listener.Close()
	zone := recordsOf(t, rootsigner.Sign(t, smallRoot, rootsigner.Options{Signed: signedAt}))
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		serveConn(conn, func(w io.Writer, query *dns.Msg) {
			m := new(dns.Msg).SetReply(query)
			m.Answer = zone[:3]
			write(w, m)
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		})
	}()
	server := listener.Addr().(*net.TCPAddr).AddrPort()
	_, err = fetchAXFR(t.Context(), new(net.Dialer).DialContext, netip.AddrPortFrom(server.Addr(), server.Port()), nil, dnsname.Root, nil)
	if err == nil || from("", err).Fault != FaultSource || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// The end of the resolver, at whatever read, write or call of a round it comes, ends the round; it is no
// failure, and changes nothing.
func TestEndAtEachMoment(t *testing.T) {
	moments := 0
	for at := range 100 {
		ended := false
		synctest.Test(t, func(t *testing.T) {
			base, end := context.WithCancel(t.Context())
			defer end()
			now := 0
			moment := func() {
				if now++; now == at+1 {
					ended = true
					end()
				}
			}
			text := rootsigner.Sign(t, smallRoot, rootsigner.Options{Signed: time.Now(), Serial: 2})
			dial := dialTo(serving(t, text, nil))
			changes := 0
			w := newWorld(t, rootsigner.Options{Serial: 1}, func(c *Config) {
				c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					moment()
					conn, err := dial(ctx, network, address)
					moment()
					return momentConn{conn, moment}, err
				}
				c.Changed = func(Change) { changes++; moment() }
			})
			w.config.Sources = append(w.config.Sources, Source{Name: "server", Server: serverAddr})
			text1 := w.text
			w.config.Sources[0].Open = func(context.Context, uint32) (io.ReadCloser, error) {
				moment()
				if now > 8 { // once there is a copy, the next source is asked
					return nil, errors.New("out of order")
				}
				read := strings.NewReader(text1)
				return io.NopCloser(readerFunc(func(b []byte) (int, error) { moment(); return read.Read(b) })), nil
			}
			done := make(chan struct{})
			go func() { w.Run(base); close(done) }()
			synctest.Wait()
			time.Sleep(31 * time.Minute)
			end()
			<-done
			if ended && changes > 3 || w.Counts.Failures[FaultSignature].Load()+w.Counts.Failures[FaultDigest].Load()+w.Counts.Failures[FaultSize].Load() > 0 {
				t.Errorf("moment %d: got %d changes, %+v", at, changes, w.State())
			}
			if ended && w.Counts.Failures[FaultSource].Load() > 1 { // of the one that is out of order
				t.Errorf("moment %d: its end counts as a failure: %v", at, w.State().Err)
			}
		})
		if !ended {
			break
		}
		moments++
	}
	t.Logf("%d moments", moments)
	if moments < 20 || moments == 100 {
		t.Errorf("got %d moments", moments)
	}
}

// momentConn tells each read and write.
type momentConn struct {
	net.Conn
	moment func()
}

func (c momentConn) Read(b []byte) (int, error)  { c.moment(); return c.Conn.Read(b) }
func (c momentConn) Write(b []byte) (int, error) { c.moment(); return c.Conn.Write(b) }

// withoutSignatures is the text of the real root zone without what is made by signing it.
func withoutSignatures(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 4 {
			switch f[3] {
			case "SOA", "RRSIG", "NSEC", "DNSKEY", "ZONEMD":
			default:
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// Over many refreshes of the complete root zone memory does not grow: each copy is freed once it is
// replaced, though replies made of it are still held.
func TestOldCopiesAreFreed(t *testing.T) {
	records := withoutSignatures(realText(t))
	var texts [3]string
	for i := range texts { // each is newer than the one before it, and the first than the last (RFC 1982)
		texts[i] = rootsigner.Sign(t, records, rootsigner.Options{Signed: time.Now(), Serial: 1 + uint32(i)<<30 + uint32(i)<<28})
	}
	next := 0
	open := func(context.Context, uint32) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(texts[next%len(texts)])), nil
	}
	r := New(Config{Sources: []Source{{Name: "text", Open: open}}, Trust: trustOf(t, 0), Now: time.Now, SignatureTime: time.Now})
	inUse := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var copies []weak.Pointer[Zone]
	var replies [][]byte
	var first uint64
	for next = range 11 {
		if err := r.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		replies = append(replies, r.Zone().Reply("\x03www\x03com\x00", dns.TypeA))
		copies = append(copies, weak.Make(r.Zone()))
		if next == 0 {
			first = inUse()
		}
	}
	last := inUse()
	t.Logf("%d records: %d bytes in use after the first copy, %d after the last", r.State().Records, first, last)
	if r.Counts.Loaded.Load() != 11 || r.State().Records < 20_000 {
		t.Fatalf("got %d copies, %+v", r.Counts.Loaded.Load(), r.State())
	}
	if last > first+1<<20 {
		t.Errorf("memory has grown from %d to %d bytes", first, last)
	}
	for i, c := range copies[:10] {
		if c.Value() != nil {
			t.Errorf("copy number %d is still there", i)
		}
	}
	runtime.KeepAlive(replies)
	runtime.KeepAlive(r)
}

// A thousand questions at once, while copies are replaced, expire and come back.
func TestThousandAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, rootsigner.Options{Serial: 1, Expire: 7200}, nil)
		w.start(t)
		var asking sync.WaitGroup
		var with, without atomic.Int32
		for i := range 1000 {
			asking.Go(func() {
				for n := range 20 {
					time.Sleep(time.Duration(i)*time.Millisecond + 17*time.Minute)
					z := w.Zone()
					if z == nil {
						without.Add(1)
						continue
					}
					with.Add(1)
					m := new(dns.Msg)
					if err := m.Unpack(z.Reply("\x03www\x03org\x00", dns.TypeA)); err != nil || m.Authoritative || len(m.Ns) < 3 {
						t.Errorf("%d: got %v, %v", n, err, m)
					}
					if s := w.State(); s.Serial == 0 {
						t.Errorf("got %+v", s)
					}
				}
			})
		}
		for serial := range uint32(5) {
			w.set(t, rootsigner.Options{Serial: 2 + serial, Expire: 7200})
			time.Sleep(20 * time.Minute)
		}
		w.mu.Lock()
		w.text = ""
		w.mu.Unlock()
		time.Sleep(3 * time.Hour)
		w.set(t, rootsigner.Options{Serial: 3, Expire: 7200})
		asking.Wait()
		if with.Load() == 0 || without.Load() == 0 || w.Zone() == nil || w.Zone().Serial != 3 {
			t.Errorf("got %d with a copy, %d without, %+v", with.Load(), without.Load(), w.State())
		}
	})
}
