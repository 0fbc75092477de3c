package resolver_test

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// echoConnector is the part of a driver for database/sql that opens connections, with a
// dialer set by the program, as drivers allow it: pgx, mysql, pq, mssql.
type echoConnector struct {
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	address string
}

func (c echoConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.dial(ctx, "tcp", c.address)
	if err != nil {
		return nil, err
	}
	return echoConn{conn, bufio.NewReader(conn)}, nil
}

func (c echoConnector) Driver() driver.Driver { return c }

func (c echoConnector) Open(string) (driver.Conn, error) { return c.Connect(context.Background()) }

// echoConn speaks the protocol of a data base whose every statement is a line, and whose
// answer to it is another line.
type echoConn struct {
	net.Conn
	lines *bufio.Reader
}

func (c echoConn) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	if _, err := fmt.Fprintln(c.Conn, query); err != nil {
		return nil, driver.ErrBadConn
	}
	line, err := c.lines.ReadString('\n')
	return &echoRows{line}, err
}

var errNoStatements = errors.New("only queries")

func (c echoConn) Prepare(string) (driver.Stmt, error) { return nil, errNoStatements }
func (c echoConn) Begin() (driver.Tx, error)           { return nil, errNoStatements }

// echoRows are one row of one column.
type echoRows struct{ line string }

func (r *echoRows) Columns() []string { return []string{"line"} }
func (r *echoRows) Close() error      { return nil }

func (r *echoRows) Next(into []driver.Value) error {
	if r.line == "" {
		return io.EOF
	}
	into[0], r.line = r.line, ""
	return nil
}

// serveEcho is the data base.
func serveEcho(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				fmt.Fprintln(conn, "you said", lines.Text())
			}
		}()
	}
}

// Drivers of database/sql that take a dialer find their server through the resolver.
func ExampleResolver_DialContext_sql() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	go serveEcho(listener)
	_, port, _ := net.SplitHostPort(listener.Addr().String())

	in := resolvertest.New(nil, "-- zone corp.example. --\ndb A 127.0.0.1\n")
	r := in.Resolver(nil) // a program has resolver.New(resolver.Options{})
	defer r.Close()

	db := sql.OpenDB(echoConnector{dial: r.DialContext, address: net.JoinHostPort("db.corp.example", port)})
	defer db.Close()
	var line string
	if err := db.QueryRow("hello").Scan(&line); err != nil {
		log.Fatal(err)
	}
	fmt.Print(line)
	// Output:
	// you said hello
}
