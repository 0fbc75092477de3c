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
// other side closes it. It returns when no query is under way any more. Of a SERVFAIL package net
// tells its caller nothing: instead of one it gets the end of the connection, after a call of fail
// with the cause.
func (s *Server) ServeNet(ctx context.Context, conn net.Conn, fail func(dns.Question, error)) {
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
			reply, ok := s.answerToNet(ctx, query, fail)
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

// netUDPSize is the size that the queries of package net state.
const netUDPSize = 1232

// isOfNet reports whether a query is one that package net makes. Programs that use the connection
// themselves get SERVFAIL as a message.
func isOfNet(query *dns.Msg) bool {
	opt := query.IsEdns0()
	return len(query.Question) == 1 && opt != nil && opt.UDPSize() == netUDPSize && len(opt.Option) == 0
}

// answerToNet returns the reply to one query, behind its length; false when wire is not a
// query, or there will be no reply.
func (s *Server) answerToNet(ctx context.Context, wire []byte, fail func(dns.Question, error)) ([]byte, bool) {
	query := new(dns.Msg)
	if query.Unpack(wire) != nil {
		return nil, false
	}
	reply, cause, err := s.respondToNet(ctx, query)
	if err != nil {
		return nil, false
	}
	if cause != nil && isOfNet(query) {
		fail(query.Question[0], cause)
		return nil, false
	}
	reply.Truncate(dns.MaxMsgSize)
	packed, err := reply.Pack()
	if err != nil || len(packed) > dns.MaxMsgSize {
		return nil, false
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...), true
}
