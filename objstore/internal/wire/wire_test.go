package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pailfs/pailfs/objstore"
)

func TestKind(t *testing.T) {
	for status, want := range map[int]error{
		304: objstore.ErrCond, 400: objstore.ErrOther, 401: objstore.ErrPermission, 403: objstore.ErrPermission,
		404: objstore.ErrNotFound, 405: objstore.ErrUnsupported, 408: objstore.ErrTransient, 409: objstore.ErrOther,
		412: objstore.ErrCond, 416: objstore.ErrRange, 429: objstore.ErrThrottled, 500: objstore.ErrTransient,
		501: objstore.ErrUnsupported, 503: objstore.ErrTransient, 507: objstore.ErrQuota,
	} {
		if got := Kind(status); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
}

func TestCause(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errors.New("refused")}
	certificate := &tls.CertificateVerificationError{Err: errors.New("unknown authority")}
	for _, tt := range []struct {
		err, want error
		broken    bool
	}{
		{&url.Error{Op: "Get", URL: "http://h/?secret", Err: refused}, refused, true},
		{&url.Error{Op: "Get", URL: "http://h/?secret", Err: certificate}, certificate, false},
		{&url.Error{Op: "Get", URL: "http://h/?secret", Err: context.Canceled}, context.Canceled, false},
		{&url.Error{Op: "Get", URL: "http://h/?secret", Err: io.EOF}, io.EOF, true},
		{&net.DNSError{Err: "none", Name: "h"}, &net.DNSError{Err: "none", Name: "h"}, true},
	} {
		if got := Cause(tt.err); got.Error() != tt.want.Error() {
			t.Errorf("%v: %v", tt.err, got)
		}
		if got := Broken(tt.err); got != tt.broken {
			t.Errorf("%v: broken is %v", tt.err, got)
		}
		if got := Untrusted(tt.err); got != (tt.want == error(certificate)) {
			t.Errorf("%v: untrusted is %v", tt.err, got)
		}
	}
}

func TestWords(t *testing.T) {
	for _, v := range []string{"", "x", "ä", "\xff\x00", "=?UTF-8?B?"} {
		if got, ok := Unword(Word(v)); got != v || !ok {
			t.Errorf("%q: %q, %v", v, got, ok)
		}
	}
	for _, v := range []string{"", "x", "=?UTF-8?B?%%?=", "=?utf-8?Q?x?="} {
		if got, ok := Unword(v); ok {
			t.Errorf("%q is taken for a word: %q", v, got)
		}
	}
	if Encode(nil, strings.ToUpper) != nil || Decode(nil, strings.ToUpper) == nil || Known(nil) == nil {
		t.Error("nil and empty are mixed up")
	}
	if got := Decode(Encode(map[string]string{"Key": "v"}, strings.ToUpper), strings.ToLower); got["key"] != "v" || len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestCopyAll(t *testing.T) {
	body := io.NewSectionReader(strings.NewReader("0123456789"), 2, 5)
	if _, err := io.ReadFull(body, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := CopyAll(&out, body); err != nil || out.String() != "23456" {
		t.Errorf("%q, %v", &out, err)
	}
	if err := CopyAll(io.Discard, io.NewSectionReader(strings.NewReader("short"), 0, 9)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that is too short: %v", err)
	}
}

func TestContentRange(t *testing.T) {
	if off, end, size, ok := ContentRange("bytes 2-9/100"); off != 2 || end != 10 || size != 100 || !ok {
		t.Error(off, end, size, ok)
	}
	for _, h := range []string{"", "bytes", "bytes */100", "bytes 0-9", "bytes 9-0/100", "bytes 0-100/100", "items 0-9/100"} {
		if _, _, _, ok := ContentRange(h); ok {
			t.Errorf("%q is accepted", h)
		}
	}
}

func TestNothing(t *testing.T) {
	full, empty := objstore.Object{Key: "k", Size: 5, Version: "v"}, objstore.Object{Key: "k", Version: "v"}
	for _, tt := range []struct {
		o    objstore.Object
		r    objstore.Range
		cond objstore.Cond
		want error
	}{
		{full, objstore.Range{Off: 2}, objstore.Cond{}, nil},
		{full, objstore.Range{Off: 2}, objstore.Cond{Version: "v"}, nil},
		{empty, objstore.All, objstore.Cond{}, nil},
		{full, objstore.Range{Off: 5}, objstore.Cond{}, objstore.ErrRange},
		{full, objstore.All, objstore.Cond{}, objstore.ErrRange},
		{full, objstore.Range{Off: 2}, objstore.Cond{Version: "w"}, objstore.ErrCond},
		{full, objstore.Range{Off: 2}, objstore.Cond{Absent: true}, objstore.ErrCond},
	} {
		body, o, err := Nothing(tt.o, tt.r, tt.cond)
		if !errors.Is(err, tt.want) || err == nil && (body == nil || o.Version != "v") {
			t.Errorf("%+v of %+v: %v", tt.r, tt.o, err)
		}
	}
}

func TestParts(t *testing.T) {
	if err := CheckPart("k", 1, 2, false); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		n    int
		over bool
		want error
	}{{0, false, objstore.ErrUnsupported}, {3, false, objstore.ErrUnsupported}, {1, true, ErrOver}} {
		if err := CheckPart("k", tt.n, 2, tt.over); !errors.Is(err, tt.want) {
			t.Errorf("part %d: %v", tt.n, err)
		}
	}
	parts := map[int]string{1: "a", 2: "b", 4: "d"}
	if run, err := Run(parts, 2, false); err != nil || !slices.Equal(run, []string{"a", "b"}) {
		t.Error(run, err)
	}
	for _, last := range []int{0, 3} {
		if _, err := Run(parts, last, false); err == nil {
			t.Errorf("%d parts: no error", last)
		}
	}
	if _, err := Run(parts, 1, true); err != ErrOver {
		t.Error(err)
	}
}

func TestEndpoint(t *testing.T) {
	if err := CheckEndpoint("https://h:1/p", "", ""); err != nil {
		t.Error(err)
	}
	for endpoint, want := range map[string]string{"h": "like this", "ftp://h": "like this", "http://": "like this", "http://u:SECRET@h": "by file"} {
		if err := CheckEndpoint(endpoint, "like this", "file"); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

func TestTransport(t *testing.T) {
	tr, err := Network{ConnectTimeout: DefaultConnectTimeout, RequestTimeout: DefaultRequestTimeout}.Transport()
	if err != nil {
		t.Fatal(err)
	}
	if tr.Proxy == nil || !tr.DisableCompression || tr.Protocols.HTTP2() || !tr.Protocols.HTTP1() || tr.TLSClientConfig.MinVersion != tls.VersionTLS12 {
		t.Errorf("%+v", tr)
	}
	bad := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bad, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{bad, bad + ".none"} {
		if _, err := (Network{CABundle: file}).Transport(); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
	// A server that accepts and says nothing.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tr, err = Network{ConnectTimeout: DefaultConnectTimeout, RequestTimeout: 1e8}.Transport()
	if err != nil {
		t.Fatal(err)
	}
	defer tr.CloseIdleConnections()
	_, err = (&http.Client{Transport: tr}).Get("http://" + l.Addr().String())
	if err == nil || !Broken(err) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silence: %v", err)
	}
}
