package fs

const (
	sysExecve   = 221
	sysExecveat = 281
)
