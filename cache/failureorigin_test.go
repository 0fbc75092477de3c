package cache

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// TestFailureOrigin: the zone, the last servers and the first part of the reason come back, whatever
// of them there is.
func TestFailureOrigin(t *testing.T) {
	servers := func(of ...string) (all []netip.AddrPort) {
		for _, s := range of {
			all = append(all, netip.MustParseAddrPort(s))
		}
		return all
	}
	long := strings.Repeat("x", 5000)
	clock := &dnssec.ClockError{Clock: time.Unix(-10, 5).UTC(), Signed: time.Unix(1<<31, 0).UTC(), Expires: time.Unix(1<<33, 0).UTC(), KeyTag: 20326}
	for _, test := range []struct{ put, want FailureOrigin }{
		{},
		{FailureOrigin{Reason: "no reason"}, FailureOrigin{Reason: "no reason"}},
		{FailureOrigin{Clock: clock}, FailureOrigin{Clock: clock}},
		{FailureOrigin{Zone: name(".")}, FailureOrigin{Zone: name(".")}},
		{FailureOrigin{Servers: servers("[2001:db8::1]:5353")}, FailureOrigin{Servers: servers("[2001:db8::1]:5353")}},
		{
			FailureOrigin{name("example.com"), servers("192.0.2.1:53", "192.0.2.2:53", "[2001:db8::3]:53", "192.0.2.4:53", "192.0.2.5:53", "192.0.2.6:65535"), long, clock},
			FailureOrigin{name("example.com"), servers("[2001:db8::3]:53", "192.0.2.4:53", "192.0.2.5:53", "192.0.2.6:65535"), long[:maxFailureReason], clock},
		},
	} {
		v, n := newView(Options{}), name("dead.example.com")
		put := v.KeepFailure(start, n, dns.TypeA, Checked, 22, "all dead", test.put)
		got, ok := v.GetFailure(start.Add(time.Second), n, dns.TypeA, Checked)
		if !ok || got.Cause != 22 || got.Text != "all dead" || !reflect.DeepEqual(got.Origin(), test.want) || !reflect.DeepEqual(put.Origin(), test.want) {
			t.Errorf("got %+v and %+v, want %+v", got.Origin(), put.Origin(), test.want)
		}
		if c := got.Clock(); !reflect.DeepEqual(c, test.want.Clock) {
			t.Errorf("got the clock %+v, want %+v", c, test.want.Clock)
		}
		if !got.At().Equal(start) {
			t.Errorf("it failed at %v, want %v", got.At(), start)
		}
	}
}

// TestFailureOriginIsCounted: a failure with the longest origin that there can be is counted as what
// it takes, and takes no more than a kilobyte. Those of random names push one another out.
func TestFailureOriginIsCounted(t *testing.T) {
	long := name(strings.Repeat(strings.Repeat("z", 61)+".", 4))
	worst := FailureOrigin{long, make([]netip.AddrPort, 100), strings.Repeat("x", 100_000), &dnssec.ClockError{}}
	for i := range worst.Servers {
		worst.Servers[i] = netip.AddrPortFrom(netip.IPv6LinkLocalAllNodes(), 53)
	}
	taken := func(text string, o FailureOrigin) int64 {
		c := New(Options{})
		c.View([32]byte{1}).KeepFailure(start, long, dns.TypeA, Checked, 22, text, o)
		return c.Stats().Bytes
	}
	if more := taken(strings.Repeat("t", 1000), worst) - taken("", FailureOrigin{}); more < maxFailureReason+maxFailureText || more > 1024 {
		t.Errorf("it is counted as %d bytes more than one without", more)
	}
	small := New(Options{MaxBytes: 1 << 20})
	v := small.View([32]byte{1})
	for i := range 5000 {
		v.KeepFailure(start, made(i), dns.TypeA, Checked, 22, "text", worst)
	}
	if s := small.Stats(); s.Bytes > s.MaxBytes || s.Bytes < s.MaxBytes/2 {
		t.Errorf("%d bytes are used of %d", s.Bytes, s.MaxBytes)
	}
}

// TestFailureAt: it is the last time that the question failed, however often it did.
func TestFailureAt(t *testing.T) {
	v, n, now := newView(Options{}), name("dead.example.com"), start
	for range 300 {
		v.PutFailure(now, n, dns.TypeA, Checked, 22, "")
		got, ok := v.GetFailure(now.Add(time.Second), n, dns.TypeA, Checked)
		if !ok || !got.At().Equal(now) {
			t.Fatalf("failure %d: got %v, want %v", got.Count, got.At(), now)
		}
		now = got.Until
	}
}
