package reach

import (
	"net/netip"
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func root(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 41, 0, byte(i)}), 53)
}

func question(i int) answer.Question {
	return answer.Question{Name: dnsname.MustParse(string(rune('a'+i)) + "."), Type: 1}
}

// TestTurnsToTCP: several servers, several questions, and replies over TCP, within half a minute and
// with no reply over UDP between.
func TestTurnsToTCP(t *testing.T) {
	const of = 26
	for name, tt := range map[string]struct {
		do   func(n *Network)
		want Way
	}{
		"enough": {func(n *Network) {}, OverTCP},
		"one server": {func(n *Network) {
			*n = Network{}
			for i := range 10 {
				n.FailedUDP(start, root(1), of, question(i), true)
			}
		}, Open},
		"two servers": {func(n *Network) {
			*n = Network{}
			for i := range 10 {
				n.FailedUDP(start, root(i%2), of, question(i), true)
			}
		}, Open},
		"one question": {func(n *Network) {
			*n = Network{}
			for i := range 10 {
				n.FailedUDP(start, root(i), of, question(0), true)
			}
		}, Open},
		"of two servers there are": {func(n *Network) {
			*n = Network{}
			for i := range 4 {
				n.FailedUDP(start, root(i%2), 2, question(i), true)
			}
		}, OverTCP},
		"a root server answers over UDP": {func(n *Network) { n.Reached(start, false) }, Open},
		"another server does":            {func(n *Network) { n.Heard() }, Open},
		"another server does, but something answers for the root": {func(n *Network) {
			n.FailedUDP(start, root(1), of, question(1), true)
			n.Heard()
		}, OverTCP},
	} {
		n := new(Network)
		for i := range 3 {
			n.FailedUDP(start, root(i), of, question(i), false)
		}
		tt.do(n)
		n.Reached(start, true)
		if n.Way(start) != Open {
			t.Errorf("%s: one reply over TCP was enough", name)
		}
		n.Reached(start, true)
		if got := n.Way(start); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
	n := new(Network)
	for i := range 10 {
		now := start.Add(time.Duration(i) * 20 * time.Second)
		n.FailedUDP(now, root(i), of, question(i), true)
		n.Reached(now, true)
	}
	if n.Way(start) != Open {
		t.Error("what lies minutes apart adds up")
	}
}

// closed is a network where no root server can be asked, and tcp one where UDP is of no use.
func closed() *Network {
	n := new(Network)
	n.Failed(start, question(0))
	n.Failed(start, question(1))
	return n
}

func tcp(local *netip.Addr) *Network {
	n := &Network{Local: func() netip.Addr { return *local }}
	for i := range 3 {
		n.FailedUDP(start, root(i), 3, question(i), false)
		n.Reached(start, true)
	}
	return n
}

func TestTurnsToClosed(t *testing.T) {
	n := new(Network)
	for range 5 {
		n.Failed(start, question(0))
	}
	if n.Way(start) != Open {
		t.Error("one question was enough")
	}
	n.Reached(start, true)
	if n.Failed(start, question(1)); n.Way(start) != Open {
		t.Error("a reply between two failures does not count")
	}
	if got := closed().Way(start); got != Closed {
		t.Errorf("got %d, want it closed", got)
	}
}

// TestSilenceOverBoth: several servers that are silent to several questions over UDP, and take no connection,
// close the network, unless anything answers between; so do those connections alone where UDP leads nowhere.
func TestSilenceOverBoth(t *testing.T) {
	local := netip.MustParseAddr("192.0.2.1")
	for name, tt := range map[string]struct {
		known                       *Network
		udp, connections, questions int
		between                     func(n *Network)
		want                        Way
	}{
		"enough":                      {new(Network), 3, 3, 2, nil, Closed},
		"two servers over UDP":        {new(Network), 2, 3, 2, nil, Open},
		"two connections":             {new(Network), 3, 2, 2, nil, Open},
		"one question":                {new(Network), 3, 3, 1, nil, Open},
		"a reply over TCP":            {new(Network), 3, 3, 2, func(n *Network) { n.Reached(start, true) }, Open},
		"a reply over UDP":            {new(Network), 3, 3, 2, func(n *Network) { n.Reached(start, false) }, Open},
		"another server, over UDP":    {new(Network), 3, 3, 2, func(n *Network) { n.Heard() }, Open},
		"something else, over UDP":    {new(Network), 3, 3, 2, func(n *Network) { n.FailedUDP(start, root(0), 26, question(0), true) }, Open},
		"TCP alone led there":         {tcp(&local), 0, 3, 2, nil, Closed},
		"TCP alone, and one question": {tcp(&local), 0, 3, 1, nil, OverTCP},
		"TCP alone, and a reply":      {tcp(&local), 0, 3, 2, func(n *Network) { n.Reached(start, true) }, OverTCP},
		"TCP alone, and two servers":  {tcp(&local), 0, 2, 2, nil, OverTCP},
		"connections without silence": {new(Network), 0, 9, 2, nil, Open},
	} {
		n := tt.known
		for i := range tt.udp {
			n.FailedUDP(start, root(i), 26, question(i%tt.questions), false)
		}
		for i := range tt.connections {
			if i == tt.connections-1 && tt.between != nil {
				tt.between(n)
			}
			n.FailedTCP(start, root(i), 26, question(i%tt.questions))
		}
		if got := n.Way(start); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
	n := new(Network)
	for i := range 3 {
		n.FailedUDP(start, root(i), 26, question(i), false)
		n.FailedTCP(start.Add(evidenceFor), root(i), 26, question(i))
	}
	if got := n.Way(start); got != Open {
		t.Errorf("got %d for what was observed half a minute apart", got)
	}
}

// TestAliensOverTCP: what answers over TCP in the place of several root servers closes the network, unless
// one of them answers between.
func TestAliensOverTCP(t *testing.T) {
	for name, tt := range map[string]struct {
		servers, questions int
		between            func(n *Network)
		want               Way
	}{
		"enough":                   {3, 2, func(*Network) {}, Closed},
		"two servers":              {2, 9, func(*Network) {}, Open},
		"one question":             {9, 1, func(*Network) {}, Open},
		"a root server between":    {3, 2, func(n *Network) { n.Reached(start, true) }, Open},
		"one over TLS between":     {3, 2, func(n *Network) { n.ReachedOverTLS(start) }, Open},
		"another server, over UDP": {3, 2, func(n *Network) { n.Heard() }, Closed},
	} {
		n := new(Network)
		for i := range 3 {
			if i == 2 {
				if n.Way(start) != Open {
					t.Errorf("%s: two were enough", name)
				}
				tt.between(n)
			}
			n.AlienTCP(start, root(i%tt.servers), 26, question(i%tt.questions))
		}
		if got := n.Way(start); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

// TestEnds: what is known ends by itself, and with the network.
func TestEnds(t *testing.T) {
	local := netip.MustParseAddr("192.0.2.1")
	n := tcp(&local)
	if got := n.Way(start.Add(rememberFor - 1)); got != OverTCP {
		t.Errorf("got %d, want it remembered", got)
	}
	if got := n.Way(start.Add(rememberFor)); got != Open {
		t.Errorf("got %d after %v, want it forgotten", got, rememberFor)
	}
	n = tcp(&local)
	local = netip.Addr{}
	if got := n.Way(start.Add(2 * movedEvery)); got != OverTCP {
		t.Errorf("got %d without any address, want it remembered", got)
	}
	local = netip.MustParseAddr("192.0.2.2")
	if got := n.Way(start.Add(4 * movedEvery)); got != Open {
		t.Errorf("got %d with another address, want it forgotten", got)
	}
	n = tcp(&local)
	if n.NoRoute(start); n.Way(start) != Open {
		t.Error("remembered although this host could send nothing meanwhile")
	}
}

// TestTests: one at a time, at their times, and three that succeed in a row end it.
func TestTests(t *testing.T) {
	local := netip.MustParseAddr("192.0.2.1")
	n := tcp(&local)
	now := start
	if _, due := n.Test(now); due {
		t.Error("tested at once")
	}
	for _, wait := range []time.Duration{testFirst, testFirst, 2 * testFirst, 4 * testFirst, 8 * testFirst, testMax, testMax} {
		if _, due := n.Test(now.Add(wait - 1)); due {
			t.Errorf("tested before %v were over", wait)
		}
		now = now.Add(wait)
		overTCP, due := n.Test(now)
		if !due || overTCP {
			t.Fatalf("after %v: got %t over TCP %t, want a test over UDP", wait, due, overTCP)
		}
		if _, twice := n.Test(now); twice {
			t.Error("two tests at a time")
		}
		n.EndTest(now, false, false)
	}
	now = now.Add(testMax)
	for _, reached := range []bool{true, true, false, true, true, true} {
		if n.Way(now) != OverTCP {
			t.Fatal("ended before three tests in a row succeeded")
		}
		if _, due := n.Test(now); !due {
			t.Fatal("no test is due")
		}
		n.EndTest(now, false, reached)
		if now = now.Add(testAgain); !reached {
			now = now.Add(testMax)
		}
	}
	if got := n.Way(now); got != Open {
		t.Errorf("got %d after three tests, want it open", got)
	}
}

// TestClosedIsTested over UDP and TCP in turn, until one of them leads somewhere.
func TestClosedIsTested(t *testing.T) {
	for _, works := range []bool{false, true} {
		n, now, seen := closed(), start, map[bool]int{}
		for range 20 {
			now = now.Add(testClosed)
			overTCP, due := n.Test(now)
			if !due {
				break
			}
			seen[overTCP]++
			n.EndTest(now, overTCP, overTCP == works)
		}
		want := map[bool]Way{false: Open, true: OverTCP}[works]
		if got := n.Way(now); got != want || seen[works] != backNeeded {
			t.Errorf("TCP %t: got %d after tests %v, want %d", works, got, seen, want)
		}
	}
}

// TestChecks are few, and none while root servers answer.
func TestChecks(t *testing.T) {
	n := new(Network)
	if !n.MayCheck(start) || n.MayCheck(start) || !n.MayCheck(start.Add(checkEvery)) {
		t.Errorf("want one each %v", checkEvery)
	}
	n.Reached(start.Add(2*checkEvery), false)
	if n.MayCheck(start.Add(3*checkEvery - 1)) {
		t.Error("checked although a root server has just answered")
	}
	n.FailedTCP(start.Add(2*checkEvery+1), root(0), 26, question(0))
	if !n.MayCheck(start.Add(3*checkEvery - 1)) {
		t.Error("not checked although silence has followed the reply")
	}
	if closed().MayCheck(start) {
		t.Error("checked although it is known")
	}
}
