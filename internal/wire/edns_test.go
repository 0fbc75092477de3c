package wire

import (
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// opt writes an OPT record.
func opt(size uint16, ttl uint32, options string) string {
	b := binary.BigEndian.AppendUint16([]byte{0, 0, typeOPT}, size)
	b = binary.BigEndian.AppendUint32(b, ttl)
	b = binary.BigEndian.AppendUint16(b, uint16(len(options)))
	return string(b) + options
}

func option(code uint16, data string) string {
	b := binary.BigEndian.AppendUint16(nil, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return string(b) + data
}

func TestParseOPT(t *testing.T) {
	tests := []struct {
		name, opt string
		want      EDNS
	}{
		{"plain", opt(1232, 0, ""), EDNS{UDPSize: 1232}},
		{"size 0", opt(0, 0, ""), EDNS{UDPSize: 512}},
		{"size 511", opt(511, 0, ""), EDNS{UDPSize: 512}},
		{"size 65535", opt(0xFFFF, 0, ""), EDNS{UDPSize: 0xFFFF}},
		{"DO", opt(512, 0x8000, ""), EDNS{UDPSize: 512, DO: true}},
		{"other flags", opt(512, 0x7FFF, ""), EDNS{UDPSize: 512}},
		{"version 1", opt(512, 1<<16, ""), EDNS{UDPSize: 512, Version: 1}},
		{"extended RCODE", opt(512, 1<<24, ""), EDNS{UDPSize: 512, ExtendedRcode: 1}},
		{"cookie", opt(512, 0, option(10, "8 bytes!")), EDNS{UDPSize: 512, Cookie: []byte("8 bytes!")}},
		{"empty cookie", opt(512, 0, option(10, "")), EDNS{UDPSize: 512, Cookie: []byte{}}},
		{"the first of two cookies", opt(512, 0, option(10, "first...")+option(10, "second..")),
			EDNS{UDPSize: 512, Cookie: []byte("first...")}},
		{"extended errors", opt(512, 0, option(15, "\x00\x16")+option(15, "\x00\x09no key")+option(15, "\x01")),
			EDNS{UDPSize: 512, Errors: []EDE{{22, ""}, {9, "no key"}}}},
		{"identity", opt(512, 0, option(3, "nsid")+option(3, "other")), EDNS{UDPSize: 512, NSID: []byte("nsid")}},
		{"options of no use", opt(512, 0, option(5, "\x08")+option(12, "\x00\x00")+option(65001, "")), EDNS{UDPSize: 512}},
		{"100 options", opt(512, 0, strings.Repeat(option(12, ""), MaxOptions)), EDNS{UDPSize: 512}},
		{"4096 bytes", opt(512, 0, option(12, strings.Repeat("\x00", maxOptionBytes-4))), EDNS{UDPSize: 512}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(message(1, 0, 0, 1, question, tt.opt))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*m.EDNS, tt.want) {
				t.Errorf("got  %+v\nwant %+v", *m.EDNS, tt.want)
			}
			if len(m.Additional) != 0 {
				t.Errorf("OPT among the records: %v", m.Additional)
			}
		})
	}
}

func TestParseOPTRefuses(t *testing.T) {
	tests := []struct {
		name, options string
		want          error
	}{
		{"half a header", "\x00\x03\x00", ErrOptions},
		{"half a second header", option(3, "nsid") + "\x00", ErrOptions},
		{"length past the end", "\x00\x03\x00\x05nsid", ErrOptions},
		{"length of 65535", "\x00\x03\xff\xff", ErrOptions},
		{"101 options", strings.Repeat(option(3, ""), MaxOptions+1), ErrTooManyOpts},
		{"4097 bytes", option(12, strings.Repeat("\x00", maxOptionBytes-3)), ErrTooManyOpts},
		{"flood", strings.Repeat(option(10, ""), 16000), ErrTooManyOpts},
	}
	for _, tt := range tests {
		// Once at the end of the message, once with something behind that an overrun could read.
		for _, in := range [][]byte{
			message(1, 0, 0, 1, question, opt(512, 0, tt.options)),
			message(1, 0, 0, 2, question, opt(512, 0, tt.options), rootRecord),
		} {
			if m, err := Parse(in); m != nil || !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, %v; want %v", tt.name, m, err, tt.want)
			}
		}
	}
}

// What we read of an OPT record is what miekg/dns writes.
func TestParseOPTOfMiekg(t *testing.T) {
	msg := new(dns.Msg).SetQuestion("example.", dns.TypeA)
	o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	o.SetUDPSize(1400)
	o.SetDo()
	o.SetVersion(3)
	msg.Rcode = dns.RcodeBadCookie
	o.SetExtendedRcode(dns.RcodeBadCookie)
	o.Option = []dns.EDNS0{
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"},
		&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeNoReachableAuthority, ExtraText: "all dead"},
	}
	msg.Extra = append(msg.Extra, o)
	b, err := msg.Pack()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	want := &EDNS{
		UDPSize: 1400, ExtendedRcode: 1, Version: 3, DO: true, Cookie: []byte{1, 2, 3, 4, 5, 6, 7, 8},
		Errors: []EDE{{22, "all dead"}},
	}
	if !reflect.DeepEqual(m.EDNS, want) || m.Rcode() != dns.RcodeBadCookie {
		t.Errorf("got  %+v, RCODE %d\nwant %+v, RCODE %d", m.EDNS, m.Rcode(), want, dns.RcodeBadCookie)
	}
}
