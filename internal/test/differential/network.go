package main

import (
	"context"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const (
	// maxMessage is the longest DNS message.
	maxMessage = 1<<16 - 1

	// serverPatience is how long a server in memory may take for a reply. Those that
	// never reply are given up then.
	serverPatience = 5 * time.Second

	// socketBuffer is for bursts of four resolvers at once, in bytes.
	socketBuffer = 1 << 20
)

// network is the sockets of all servers of a mock Internet, at their own addresses.
type network struct {
	in      *resolvertest.Internet
	sockets []io.Closer
}

// serve opens the sockets of every IPv4 server.
func serve(in *resolvertest.Internet) (*network, error) {
	n := &network{in: in}
	for _, addr := range in.Servers("") {
		if !addr.Is4() {
			continue // all resolvers are told to use IPv4 only
		}
		if err := n.listen(netip.AddrPortFrom(addr, 53)); err != nil {
			n.close()
			return nil, err
		}
	}
	return n, nil
}

func (n *network) close() {
	for _, socket := range n.sockets {
		socket.Close() // the namespace goes anyway
	}
}

// listen opens the two sockets of one server.
func (n *network) listen(at netip.AddrPort) error {
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	n.sockets = append(n.sockets, udp)
	_ = udp.SetReadBuffer(socketBuffer) // a smaller one may do
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return err
	}
	n.sockets = append(n.sockets, tcp)
	go n.datagrams(udp, at)
	go n.accept(tcp, at)
	return nil
}

// datagrams hands each datagram to the server in memory, and its reply back.
func (n *network) datagrams(socket *net.UDPConn, at netip.AddrPort) {
	buffer := make([]byte, maxMessage)
	for {
		size, client, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return // closed
		}
		query := append([]byte(nil), buffer[:size]...)
		go n.datagram(socket, at, client, query)
	}
}

// datagram answers one. Errors are a server that does not answer, as some are meant to.
func (n *network) datagram(socket *net.UDPConn, at, client netip.AddrPort, query []byte) {
	conn, err := n.in.Dial(context.Background(), "udp", at.String())
	if err != nil {
		return
	}
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(serverPatience)) != nil {
		return
	}
	if _, err := conn.Write(query); err != nil {
		return
	}
	reply := make([]byte, maxMessage)
	size, err := conn.Read(reply)
	if err != nil {
		return
	}
	_, _ = socket.WriteToUDPAddrPort(reply[:size], client) // the client may be gone
}

// accept joins each connection to one with the server in memory.
func (n *network) accept(listener *net.TCPListener, at netip.AddrPort) {
	for {
		client, err := listener.AcceptTCP()
		if err != nil {
			return // closed
		}
		go n.connection(client, at)
	}
}

func (n *network) connection(client net.Conn, at netip.AddrPort) {
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), serverPatience)
	defer cancel()
	server, err := n.in.Dial(ctx, "tcp", at.String())
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client) // ends with either side
		server.Close()
	}()
	_, _ = io.Copy(client, server)
}
