package serve

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/rescue"
)

// ServeNet answers the queries that arrive over a connection, concurrently, until the
// other side closes it. It returns when no query is under way any more.
func (s *Server) ServeNet(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(s.Base, func() { conn.Close() })
	defer stop()
	var queries sync.WaitGroup
	defer queries.Wait()
	defer conn.Close()
	for {
		query, err := readFrame(conn)
		if err != nil {
			return
		}
		queries.Go(func() {
			defer rescue.Quietly() // package net has no goroutine in which to panic
			answered := false
			defer func() {
				if !answered {
					conn.Close()
				}
			}()
			reply, ok := s.answerToNet(ctx, query)
			if answered = ok; ok {
				conn.Write(reply) // an error means that the other side has hung up
			}
		})
	}
}

// readFrame reads a two-byte length and the message behind it.
func readFrame(conn io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, message)
	return message, err
}

// answerToNet returns the reply to one query, behind its length; false when wire is not a
// query, or there will be no reply.
func (s *Server) answerToNet(ctx context.Context, wire []byte) ([]byte, bool) {
	query := new(dns.Msg)
	if query.Unpack(wire) != nil {
		return nil, false
	}
	reply, err := s.respondToNet(ctx, query)
	if err != nil {
		return nil, false
	}
	reply.Truncate(dns.MaxMsgSize)
	packed, err := reply.Pack()
	if err != nil || len(packed) > dns.MaxMsgSize {
		return nil, false
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...), true
}
