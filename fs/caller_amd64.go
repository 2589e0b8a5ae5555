package fs

const (
	sysExecve   = 59
	sysExecveat = 322
)
