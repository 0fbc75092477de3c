package main

import (
	"bytes"
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

// wasBroadcast reports whether a datagram over IPv4 was sent to the broadcast address of a
// network of this host. The kernel knows those: the address that it would answer from is
// another than the one it was sent to then (ip(7), IP_PKTINFO).
func wasBroadcast(control []byte) bool {
	const interfaceSize, addrSize = 4, 4 // struct in_pktinfo: interface, own address, destination
	for len(control) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return false
		}
		if header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(data) >= interfaceSize+2*addrSize {
			data = data[interfaceSize:]
			return !bytes.Equal(data[:addrSize], data[addrSize:2*addrSize])
		}
		control = rest
	}
	return false
}
