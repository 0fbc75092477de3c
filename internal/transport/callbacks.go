package transport

// Verdict is the result of the caller's check of one message that arrived.
type Verdict int

const (
	// Ignore: not an answer to this query. The wait goes on to the same deadline.
	Ignore Verdict = iota
	// Accept: Send returns this message.
	Accept
	// Abandon: somebody is guessing, and each further message is another guess
	// (RFC 5452 §9.3). Send stops waiting and returns the message with ErrAbandoned.
	Abandon
)

// Watch has the functions by which the caller watches a send under way. The zero
// Watch accepts the first message.
type Watch struct {
	// Check judges each message that arrived; nil accepts the first one. It is
	// called in the goroutine that called Send and never after Send has returned.
	// It may change reply in place, which only the Checks of other sends over the same
	// connection read besides, and may keep it only if it returns Accept or Abandon; it is
	// then the very slice that Send returns. It must not call Close.
	//
	// Over UDP it sees every datagram of the server's address and port, of any
	// length, zero included. Over TCP it sees every message with the ID of this
	// query, and those with an ID that was never used on the connection: for the
	// latter an Accept counts as Ignore.
	Check func(reply []byte) Verdict

	// Sent, if not nil, is called once, as Check is and before it, when the host has accepted
	// the query for sending. It is not called for a query that never left.
	Sent func()

	// Refused, if not nil, is called at most once, as Check is, when the host
	// reports that the server's UDP port is unreachable. The wait goes on, since
	// the ICMP message behind it can be forged: it is a reason to ask another
	// server as well, not to give up.
	Refused func()

	// Waits, if not nil, is called as Check is when all connections (Options.MaxConns)
	// are in use; over is called when one has become free or the wait has ended.
	Waits func() (over func())
}

// sent calls Sent: the query has left.
func (w Watch) sent() {
	if w.Sent != nil {
		w.Sent()
	}
}

// refused calls Refused: the port is unreachable.
func (w Watch) refused() {
	if w.Refused != nil {
		w.Refused()
	}
}

// verdictOf calls check; nil accepts.
func verdictOf(check func(reply []byte) Verdict, reply []byte) Verdict {
	if check == nil {
		return Accept
	}
	return check(reply)
}
