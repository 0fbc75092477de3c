package transport

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// RFC 9715 §3: what is sent carries DF.
func TestOpenSocketUnfragmented(t *testing.T) {
	for _, test := range []struct {
		network, address    string
		level, option, want int
	}{
		{"udp4", "127.0.0.1:0", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE},
		{"udp6", "[::1]:0", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE},
	} {
		t.Run(test.network, func(t *testing.T) {
			server := listenUDP(t, test.network, test.address)
			c, err := openSocket(addrPort(server), drawPort)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			raw, err := c.(*net.UDPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			var got int
			var optErr error
			if err := raw.Control(func(fd uintptr) {
				got, optErr = unix.GetsockoptInt(int(fd), test.level, test.option)
			}); err != nil || optErr != nil {
				t.Fatal(err, optErr)
			}
			if got != test.want {
				t.Errorf("MTU discovery: got %d, want %d", got, test.want)
			}
		})
	}
}
