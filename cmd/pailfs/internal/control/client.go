package control

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Client is a connection to the process that serves a mount.
type Client struct {
	conn *net.UnixConn
	PID  int
	end  int // pidfd, or -1
}

// Dial connects to the server of a mount point. The run directory must belong
// to owner alone. An error means that no server listens there.
func Dial(dir string, owner int, mountpoint string) (*Client, error) {
	if err := private(dir, owner); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, Name(mountpoint)+".sock")
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn, end: -1}
	if c.PID, err = peer(conn); err != nil {
		conn.Close()
		return nil, err
	}
	c.end = openProcess(c.PID)
	return c, nil
}

// Do sends a request and waits for its answer, however long that takes. Progress,
// where it is not nil, is called with what the server tells in between.
func (c *Client) Do(req Request, progress func(Progress)) (Answer, error) {
	req.Progress = progress != nil
	if err := json.NewEncoder(c.conn).Encode(req); err != nil {
		return Answer{}, fmt.Errorf("ask process %d: %w", c.PID, err)
	}
	for answers := json.NewDecoder(c.conn); ; {
		var a Answer
		if err := answers.Decode(&a); err != nil {
			return Answer{}, fmt.Errorf("process %d ended without an answer: %w", c.PID, err)
		}
		if a.Progress == nil {
			return a, nil
		}
		if progress != nil {
			progress(*a.Progress)
		}
	}
}

// WaitEnd returns when the process has ended.
func (c *Client) WaitEnd() {
	if c.end >= 0 && waitProcess(c.end) {
		return
	}
	c.conn.Read(make([]byte, 1)) // until the process closes it by ending
}

// Close ends the connection, not the server.
func (c *Client) Close() {
	c.conn.Close()
	if c.end >= 0 {
		unix.Close(c.end)
	}
}
