package transport

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// descriptor calls use with the descriptor of s.
func descriptor(t *testing.T, s socket, use func(fd int)) {
	t.Helper()
	if raw, ok := s.(*rawSocket); ok {
		use(raw.fd)
		return
	}
	conn, err := s.(*netSocket).conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Control(func(fd uintptr) { use(int(fd)) }); err != nil {
		t.Fatal(err)
	}
}

// RFC 9715 §3: what is sent carries DF. In IPv6 the port need not be free in IPv4.
func TestOpenSocketUnfragmented(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, _ *peer) {
		if tr.dial != nil {
			t.Skip("the Dial function sets options")
		}
		for _, test := range []struct {
			network, address    string
			level, option, want int
		}{
			{"udp4", "127.0.0.1:0", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
			{"udp6", "[::1]:0", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
			{"udp6", "[::1]:0", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
		} {
			p := begin(t, tr, addrPort(listenUDP(t, test.network, test.address)))
			descriptor(t, p.socket, func(fd int) {
				got, err := unix.GetsockoptInt(fd, test.level, test.option)
				if err != nil || got != test.want {
					t.Errorf("%s, option %d: got %d, %v, want %d", test.network, test.option, got, err, test.want)
				}
				if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
					t.Errorf("%s: descriptor flags %#x, %v: children would inherit it", test.network, flags, err)
				}
			})
			p.Close()
		}
	})
}
