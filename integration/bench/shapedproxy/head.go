package shapedproxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxHead bounds a head; the largest that S3 takes is 8 KiB and its URL.
const maxHead = 256 << 10

// head is the head of a message, as it came and cut into lines.
type head struct {
	raw    []byte
	first  string
	fields map[string]string // names in lower case; of several the last
}

func (h head) field(name string) string { return h.fields[name] }

// body says how the end of a body is found. The zero value is no body.
type body struct {
	length     int64
	chunked    bool
	untilClose bool
}

// readHead reads up to and with the empty line. It is io.EOF when the
// connection ended between messages.
func readHead(r *bufio.Reader) (head, error) {
	h := head{fields: map[string]string{}}
	for {
		line, err := readLine(r)
		if err != nil {
			if len(h.raw) == 0 && errors.Is(err, io.ErrUnexpectedEOF) && len(line) == 0 {
				return h, io.EOF
			}
			return h, err
		}
		h.raw = append(h.raw, line...)
		if len(h.raw) > maxHead {
			return h, errors.New("head too long")
		}
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case text == "" && h.first == "":
			// An empty line before a message is allowed, and sent on.
		case text == "":
			return h, h.check()
		case h.first == "":
			h.first = text
		default:
			name, value, _ := strings.Cut(text, ":")
			h.fields[strings.ToLower(name)] = strings.TrimSpace(value)
		}
	}
}

// check makes sure that the end of the body can be found.
func (h head) check() error {
	if l, ok := h.fields["content-length"]; ok {
		if n, err := strconv.ParseInt(l, 10, 64); err != nil || n < 0 {
			return fmt.Errorf("content-length %q", l)
		}
	}
	return nil
}

func (h head) request() (method, target string, err error) {
	method, rest, ok := strings.Cut(h.first, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !strings.HasPrefix(proto, "HTTP/1.") {
		return "", "", fmt.Errorf("not a request line: %q", h.first)
	}
	return method, target, nil
}

func (h head) status() (int, error) {
	proto, rest, _ := strings.Cut(h.first, " ")
	code, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(code)
	if err != nil || !strings.HasPrefix(proto, "HTTP/1.") {
		return 0, fmt.Errorf("not a status line: %q", h.first)
	}
	return n, nil
}

func (h head) requestBody() body {
	if h.chunked() {
		return body{chunked: true}
	}
	return body{length: h.length()}
}

func (h head) answerBody(method string, status int) body {
	_, sized := h.fields["content-length"]
	switch {
	case method == "HEAD" || status == 204 || status == 304:
		return body{}
	case h.chunked():
		return body{chunked: true}
	case sized:
		return body{length: h.length()}
	}
	return body{untilClose: true}
}

func (h head) chunked() bool {
	return strings.HasSuffix(strings.ToLower(h.field("transfer-encoding")), "chunked")
}

func (h head) length() int64 {
	n, _ := strconv.ParseInt(h.field("content-length"), 10, 64) // checked by readHead
	return n
}

// readLine reads one line with its end. A connection that ends in or before it
// is io.ErrUnexpectedEOF.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return line, err
}

func chunkSize(line []byte) (int64, error) {
	digits, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(";"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(digits)), 16, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("not a chunk size: %q", line)
	}
	return n, nil
}

func blank(line []byte) bool { return len(bytes.TrimRight(line, "\r\n")) == 0 }
