package transport

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"
)

// More sockets are ready at once than one system call tells of.
func TestPollerManyAtOnce(t *testing.T) {
	server := newPeer(t)
	tr := New(Options{})
	defer tr.Close()
	const n = 3*pollerEvents + 1
	var all [n]*Pending
	for i := range all {
		all[i] = begin(t, tr, server.addr)
	}
	var from [n]netip.AddrPort
	for i := range all {
		_, from[i] = server.query()
	}
	for i := range all {
		server.send(from[i], message(7, 40, 'r'))
	}
	for i := range all {
		reply, err := all[i].Await(soon(), nil)
		wantReply(t, reply, err, message(7, 40, 'r'))
	}
}

// Close comes to an end whatever the poller is just doing.
func TestPollerClose(t *testing.T) {
	server := newPeer(t)
	for range 200 {
		tr := New(Options{})
		var all []*Pending
		var sent sync.WaitGroup
		for range 5 {
			all = append(all, begin(t, tr, server.addr))
		}
		for range all {
			_, from := server.query()
			sent.Go(func() { server.send(from, message(7, 40, 'r')) })
		}
		tr.Close()
		sent.Wait()
	}
}

// Where the Go runtime cannot wait for epoll, package net does it.
func TestPollerUnusable(t *testing.T) {
	server := newPeer(t)
	go server.echo()
	tr := New(Options{})
	defer tr.Close()
	tr.poller.unusable = true
	for range 2 {
		reply, err := tr.Exchange(t.Context(), "udp", server.addr, message(7, 40, 'q'))
		wantReply(t, reply, err, message(7, 40, 'q'))
	}
	wantOpen(t, tr, 0, 0)
}

// A query and its reply take 8 system calls: socket, setsockopt, bind, connect, epoll_ctl, write,
// close and, as a rule once, read. How often epoll is waited for depends on how many come together: twice if it is
// only one.
func TestSystemCalls(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	server := newPeer(t)
	go server.echo()
	counts := filepath.Join(t.TempDir(), "counts")
	child, _, _ := startChild(t, "roundtrips "+server.addr.String(), strace, "-f", "-c", "-o", counts)
	if err := child.Wait(); err != nil {
		t.Skip("strace does not work here: ", err)
	}
	text, err := os.ReadFile(counts)
	if err != nil {
		t.Fatal(err)
	}
	// Those of the runtime, which come and go, are left out.
	line := regexp.MustCompile(`(?m)^(?: *[\d.]+){3} +(\d+) .*\b(socket|setsockopt|bind|connect|getsockname|getpeername|epoll_ctl|write|sendto|read|recvfrom|close|fcntl|getrandom)$`)
	sum, reads := 0, 0
	for _, found := range line.FindAllSubmatch(text, -1) {
		n, err := strconv.Atoi(string(found[1]))
		switch {
		case err != nil:
			t.Fatal(err)
		case string(found[2]) == "read":
			reads = n
		default:
			sum += n
		}
	}
	// The test binary itself makes some.
	if least, most := 7*childRoundTrips, 8*childRoundTrips; sum < least || sum > most {
		t.Errorf("%d queries: got %d system calls but for reads, want %d to %d:\n%s", childRoundTrips, sum, least, most, text)
	}
	// A slow machine is woken, and reads, before the reply is there.
	if least, most := childRoundTrips, 4*childRoundTrips; reads < least || reads > most {
		t.Errorf("%d queries: got %d reads, want %d to %d:\n%s", childRoundTrips, reads, least, most, text)
	}
}
