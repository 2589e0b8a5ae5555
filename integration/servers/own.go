package servers

// Own is the process of a server that a program which is no test has started
// for itself.
type Own struct {
	PID  int
	Stop func() // ends it and removes its data
}

// own is what a start returned; the zero value after an error.
func own(p *process, stop func()) Own {
	if p == nil || stop == nil {
		return Own{}
	}
	return Own{PID: p.cmd.Process.Pid, Stop: stop}
}
