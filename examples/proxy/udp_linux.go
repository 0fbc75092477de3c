package main

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenUDP opens several sockets at one address. The kernel deals datagrams to them by
// client, so that each can have a core for itself.
func listenUDP(address netip.AddrPort, n int) ([]*net.UDPConn, error) {
	// The first is opened alone, and so finds out whether somebody else is there: two
	// programs of the same user could share a port without noticing.
	alone, err := net.ListenUDP(network("udp", address), net.UDPAddrFromAddrPort(address))
	if err != nil || n <= 1 {
		return []*net.UDPConn{alone}, err
	}
	if err := alone.Close(); err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		if err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); err != nil {
			return err
		}
		return failed
	}}
	var conns []*net.UDPConn
	for range n {
		conn, err := config.ListenPacket(context.Background(), network("udp", address), address.String())
		if err != nil {
			for _, open := range conns {
				_ = open.Close() // the first error is the one to report
			}
			return nil, err
		}
		conns = append(conns, conn.(*net.UDPConn))
	}
	return conns, nil
}
