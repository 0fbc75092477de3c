package transport

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// BenchmarkOpen compares the ways in which package net opens a connected socket on
// a port of ours. The server's work is part of it.
func BenchmarkOpen(b *testing.B) {
	for _, way := range []struct {
		name string
		open func(server netip.AddrPort) (net.Conn, error)
	}{
		{"openSocket", func(server netip.AddrPort) (net.Conn, error) { return openSocket(server, drawPort) }},
		{"DialUDP", func(server netip.AddrPort) (net.Conn, error) {
			return net.DialUDP("udp4", &net.UDPAddr{Port: int(drawPort())}, net.UDPAddrFromAddrPort(server))
		}},
		{"Dialer.DialUDP", func(server netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialUDP(context.Background(), "udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), drawPort()), server)
		}},
		{"Dialer", func(server netip.AddrPort) (net.Conn, error) {
			d := net.Dialer{LocalAddr: &net.UDPAddr{Port: int(drawPort())}}
			return d.DialContext(context.Background(), "udp4", server.String())
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			server := udpServer(b, udpEcho)
			query, buffer := message(7, 40, 'q'), make([]byte, maxMessage)
			b.ReportAllocs()
			for b.Loop() {
				c, err := way.open(server)
				if err != nil {
					continue // the port was taken
				}
				c.SetReadDeadline(time.Now().Add(time.Minute))
				if _, err := c.Write(query); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Read(buffer); err != nil {
					b.Fatal(err)
				}
				c.Close()
			}
		})
	}
}

// BenchmarkStream is a query on a connection that is open already.
func BenchmarkStream(b *testing.B) {
	server := tcpServer(b, func(c *net.TCPConn) { echo(c) })
	tr := New(Options{})
	defer tr.Close()
	b.ReportAllocs()
	id := uint16(0)
	for b.Loop() {
		id++
		if _, err := tr.Exchange(b.Context(), "tcp", server, message(id, 40, 'q')); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDrawPort(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		drawPort()
	}
}
