package mountopts

import (
	"strings"

	"github.com/spf13/pflag"
)

// row is one option: its name, the field it sets, and what help says. The
// table below is the only list of options there is.
type row struct {
	name  string
	short string
	value pflag.Value
	usage string
}

func (r row) isSecret() bool { _, ok := r.value.(*secretValue); return ok }

func (r row) isBool() bool { _, ok := r.value.(*boolValue); return ok }

func (r row) addTo(fs *pflag.FlagSet) {
	f := fs.VarPF(r.value, r.name, r.short, r.usage)
	if r.isBool() {
		f.NoOptDefVal = "true"
	}
}

func (o *Options) table() []row {
	return []row{
		{"endpoint", "", (*stringValue)(&o.Endpoint), "URL of the service, when it is not the provider's own"},
		{"region", "", (*stringValue)(&o.Region), "region of the bucket"},
		{"profile", "", (*stringValue)(&o.Profile), "credentials profile to use"},
		{"path-style", "", &choiceValue{&o.PathStyle, []string{"", "true", "false"}}, "address buckets as ENDPOINT/BUCKET: `true or false`"},
		{"ca-file", "", (*stringValue)(&o.CAFile), "`FILE` with certificates to trust besides the system's"},

		{"access-key-id", "", (*secretValue)(&o.AccessKeyID), "S3 access key; better by AWS_ACCESS_KEY_ID or a profile"},
		{"secret-access-key", "", (*secretValue)(&o.SecretAccessKey), "S3 secret key; better by AWS_SECRET_ACCESS_KEY or a profile"},
		{"session-token", "", (*secretValue)(&o.SessionToken), "S3 session token; better by AWS_SESSION_TOKEN or a profile"},
		{"account", "", (*stringValue)(&o.Account), "Azure storage account, or account ID of r2://"},
		{"account-key", "", (*secretValue)(&o.AccountKey), "Azure account key; better by AZURE_STORAGE_KEY"},
		{"sas", "", (*secretValue)(&o.SAS), "Azure shared access signature; better by AZURE_STORAGE_SAS_TOKEN"},
		{"connection-string", "", (*secretValue)(&o.ConnectionString), "Azure connection string; better by AZURE_STORAGE_CONNECTION_STRING"},
		{"credentials", "", (*secretValue)(&o.Credentials), "credentials for Cloud Storage or Azure: a `FILE`, or the JSON in it"},
		{"impersonate", "", (*stringValue)(&o.Impersonate), "Cloud Storage service account to act as"},
		{"anonymous", "", (*boolValue)(&o.Anonymous), "use no credentials"},
		{"create-bucket", "", (*boolValue)(&o.CreateBucket), "make the bucket, container or directory if it is missing"},
		{"read-only", "", (*boolValue)(&o.ReadOnly), "refuse every change (also -o ro)"},
		{"allow-other", "", (*boolValue)(&o.AllowOther), "let other users in"},
		{"default-permissions", "", (*boolValue)(&o.DefaultPermissions), "let the kernel check modes and owners"},
		{"uid", "", &ownerValue{&o.UID, lookupUser}, "owner, a name or a number, of objects that carry none"},
		{"gid", "", &ownerValue{&o.GID, lookupGroup}, "group, a name or a number, of objects that carry none"},
		{"umask", "", (*octalValue)(&o.Umask), "bits to leave out of 0666 and 0777 where --file-mode and --dir-mode are not given, octal"},
		{"file-mode", "", (*octalValue)(&o.FileMode), "mode of objects that carry none, octal"},
		{"dir-mode", "", (*octalValue)(&o.DirMode), "mode of directories that carry none, octal"},

		{"memory", "", (*sizeValue)(&o.Memory), "memory for data on its way; who needs more waits"},
		{"read-ahead", "", (*sizeValue)(&o.ReadAhead), "largest read-ahead of one file"},
		{"cache-memory", "", (*sizeValue)(&o.CacheMemory), "part of --memory for what was read (default a sixteenth)"},
		{"cache-dir", "", (*stringValue)(&o.CacheDir), "`DIRECTORY` for what was read; may be removed at any time"},
		{"cache-size", "", (*sizeValue)(&o.CacheSize), "what the cache directory may take (default a tenth of its disk)"},
		{"cache-free", "", (*sizeValue)(&o.CacheFree), "what the cache directory leaves free on its disk (default a twentieth of it)"},
		{"passthrough", "", (*boolValue)(&o.Passthrough), "let the kernel read whole files of the cache directory itself, as read-only mounts do; turns --writeback off"},
		{"parallel", "", (*intValue)(&o.Parallel), "requests in flight for one transfer"},

		{"commit", "", &choiceValue{&o.Commit, []string{"close", "async"}}, "when close returns: `close or async`; close waits for the bucket, async until the state directory has the bytes, which are uploaded in the background"},
		{"failed-writer", "", &choiceValue{&o.FailedWriter, []string{"keep-old", "partial", "publish"}}, "what becomes of a file whose writer died or failed: `keep-old, partial or publish`"},
		{"create-only", "", (*boolValue)(&o.CreateOnly), "write new objects only; what is there is never changed"},
		{"no-delete", "", (*boolValue)(&o.NoDelete), "remove no object"},
		{"hard-links", "", &choiceValue{&o.HardLinks, []string{"", "copy"}}, "`copy` makes link(2) a copy inside the provider; otherwise it fails with EPERM"},
		{"storage-class", "", (*stringValue)(&o.StorageClass), "storage class of new objects, in the provider's words"},
		{"sha256", "", &choiceValue{&o.SHA256, []string{"small", "all"}}, "objects to note the SHA-256 of, for verify: `small or all`; those in parts take processor time, and must be written in order"},
		{"attr-ttl", "", (*durationValue)(&o.AttrTTL), "how long names and attributes may be remembered"},
		{"writeback", "", (*boolValue)(&o.Writeback), "let the kernel gather small writes"},
		{"size", "", (*sizeValue)(&o.Size), "size that df shows"},
		{"max-file-size", "", (*sizeValue)(&o.MaxFileSize), "larger files fail with EFBIG; 0 is what the provider can hold"},

		{"upload-limit", "", (*scheduleValue)(&o.UploadLimit), "bytes a second to send: `RATE` such as 10M, or HH:MM=RATE/HH:MM=RATE/..., where off is any"},
		{"download-limit", "", (*scheduleValue)(&o.DownloadLimit), "bytes a second to receive: `RATE`, likewise"},
		{"request-limit", "", (*intValue)(&o.RequestLimit), "requests a second; 0 is any number"},
		{"timeout", "", (*durationValue)(&o.Timeout), "how long a store that cannot be reached, asks to slow down or refuses the credentials is tried again before a call fails"},
		{"connect-timeout", "", (*durationValue)(&o.ConnectTimeout), "longest wait for the first answer when mounting"},
		{"mount-timeout", "", (*durationValue)(&o.MountTimeout), "how long mounting tries again while network or credentials are not there yet (default 0s, with _netdev 1m0s)"},
		{"drain-timeout", "", (*durationValue)(&o.DrainTimeout), "longest wait for unsaved files at the end"},

		{"config", "", (*stringValue)(&o.Config), "YAML `FILE` with options: for all mounts, and below the path of a mount point for that one"},
		{"foreground", "f", (*boolValue)(&o.Foreground), "stay in the foreground, log to stderr"},
		{"nonempty", "", (*boolValue)(&o.Nonempty), "allow a mount point that has entries"},
		{"state-dir", "", (*stringValue)(&o.StateDir), "directory for what must outlive the process"},
		{"run-dir", "", (*stringValue)(&o.RunDir), "directory for control sockets"},
		{"log-file", "", (*stringValue)(&o.LogFile), "`FILE` to log to instead of syslog"},
		{"log-level", "", &choiceValue{&o.LogLevel, []string{"debug", "info", "warn", "error"}}, "what to log: `debug, info, warn or error` and what is worse"},
		{"listen", "", (*stringValue)(&o.Listen), "`HOST:PORT` to serve metrics, health and a status page on; who can reach it sees names of files"},
		{"pprof", "", (*boolValue)(&o.Pprof), "serve profiles of the process at --listen too"},
		{"log-format", "", &choiceValue{&o.LogFormat, []string{"auto", "text", "json"}}, "how to log: `auto, text or json`; auto is text on a terminal and to syslog, else JSON"},
		{"debug", "d", (*boolValue)(&o.Debug), "log every request"},
	}
}

func (o *Options) row(name string) (row, bool) {
	for _, r := range o.rows {
		if r.name == name {
			return r, true
		}
	}
	return row{}, false
}

// names are written with dashes; FUSE programs also write them with
// underscores (allow_other), and both are understood.
func normal(name string) string { return strings.ReplaceAll(name, "_", "-") }

// AddFlags adds one flag for each option, and -o.
func (o *Options) AddFlags(fs *pflag.FlagSet) {
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(normal(name))
	})
	for _, r := range o.rows {
		r.addTo(fs)
	}
	fs.VarP(&listValue{o: o}, "options", "o", "mount options as mount(8) writes them: `name,name=value,...`")
}

// listValue is the -o flag.
type listValue struct {
	o    *Options
	text string
}

func (v *listValue) String() string { return v.text }
func (v *listValue) Type() string   { return "list" }
func (v *listValue) Set(s string) error {
	v.text = s
	return v.o.Parse(s)
}

const envPrefix = "PAILFS_"

// LoadEnv takes options from an environment as os.Environ gives it:
// PAILFS_MEMORY=1G is --memory=1G. Other variables that begin with PAILFS_ are
// left alone: programs around pailfs have some.
func (o *Options) LoadEnv(environ []string) error {
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		r, ok := o.envRow(name)
		if !ok {
			continue
		}
		if err := r.value.Set(value); err != nil {
			return &OptionError{Name: name, Value: value, Err: err}
		}
	}
	return nil
}

// envRow is the option that a variable sets.
func (o *Options) envRow(variable string) (row, bool) {
	name, ok := strings.CutPrefix(variable, envPrefix)
	if !ok {
		return row{}, false
	}
	return o.row(normal(strings.ToLower(name)))
}
