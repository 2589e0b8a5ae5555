package mountopts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// finished are the options of a source URL and a list after -o.
func finished(t *testing.T, source, list string) (*Options, error) {
	t.Helper()
	o := New()
	o.Source, o.Mountpoint, o.StateDir = source, "/m", "/s"
	if err := o.Parse(list); err != nil {
		t.Fatal(err)
	}
	return o, o.Finish()
}

// TestSecretsLeaveTheSource: they work wherever they are written, under the
// names that other programs have for them, and Source does not keep them.
func TestSecretsLeaveTheSource(t *testing.T) {
	for _, tt := range []struct {
		source, list string
		left, opened string // Source and URL after Finish
		secrets      string
	}{
		{"s3://b/p?region=r", "", "s3://b/p?region=r", "s3://b/p?region=r", ""},
		{"s3://ID:S%2FK@b/p", "", "s3://b/p", "s3://b/p?access-key-id=ID&secret-access-key=S%2FK", "access-key-id secret-access-key"},
		{"s3://b?access-key-id=ID&region=r&secret-access-key=SK&session-token=T", "", "s3://b?region=r",
			"s3://b?access-key-id=ID&region=r&secret-access-key=SK&session-token=T", "access-key-id secret-access-key session-token"},
		{"s3://b?AWS_ACCESS_KEY_ID=ID&AWS_SECRET_ACCESS_KEY=SK&AWS_REGION=r", "", "s3://b?region=r",
			"s3://b?access-key-id=ID&region=r&secret-access-key=SK", "access-key-id secret-access-key"},
		{"s3://b?access-key=ID&secret-key=SK&force-path-style=true", "", "s3://b?path-style=true",
			"s3://b?access-key-id=ID&path-style=true&secret-access-key=SK", "access-key-id secret-access-key"},
		{"s3://b", "access_key_id=ID,secret-access-key=SK", "s3://b", "s3://b?access-key-id=ID&secret-access-key=SK", "access-key-id secret-access-key"},
		{"s3://ID:SK@b", "secret-access-key=SK", "s3://b", "s3://b?access-key-id=ID&secret-access-key=SK", "access-key-id secret-access-key"},
		{"s3://b", "anonymous", "s3://b", "s3://b?anonymous=true", ""},
		{"azure://c/p?account=a&key=K%3D%3D", "", "azure://c/p?account=a", "azure://c/p?account=a&account-key=K%3D%3D", "account-key"},
		{"azure://a:K@c", "", "azure://c", "azure://c?account=a&account-key=K", "account-key"},
		{"azure://c?sas=sv%3D1%26sig%3DS", "", "azure://c", "azure://c?sas=sv%3D1%26sig%3DS", "sas"},
		{"gs://b?credentials=/etc/key.json", "", "gs://b", "gs://b?credentials=%2Fetc%2Fkey.json", ""},
		{"gs://b", `credentials={\"private_key\":\"K\"}`, "gs://b", "gs://b?credentials=%7B%22private_key%22%3A%22K%22%7D", "credentials"},
		{"gs://b?one-stream=true&user-project=p", "impersonate=a@b", "gs://b?one-stream=true&user-project=p", "gs://b?impersonate=a%40b&one-stream=true&user-project=p", ""},
	} {
		o, err := finished(t, tt.source, tt.list)
		if err != nil {
			t.Errorf("%s -o %s: %v", tt.source, tt.list, err)
			continue
		}
		if o.Source != tt.left || o.URL() != tt.opened || strings.Join(o.Secrets(), " ") != tt.secrets {
			t.Errorf("%s -o %s:\nleft %s\nopened %s\nsecrets %v", tt.source, tt.list, o.Source, o.URL(), o.Secrets())
		}
	}
}

func TestURLSecrets(t *testing.T) {
	for source, want := range map[string]string{
		"s3://a:b@c/d?region=r": "access-key-id secret-access-key", "s3://c/d": "", "/local": "", "--flag=x": "", "s3://%zz": "",
		"gs://b?credentials=/file": "", "azure://c?sas=x": "sas",
	} {
		if got := strings.Join(URLSecrets(source), " "); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

func TestSecretsThatCannotBeTaken(t *testing.T) {
	for _, tt := range []struct{ source, list, want string }{
		{"s3://ID:S3KR1T@b", "secret-access-key=another", "also in the source URL"},
		{"s3://S3KR1T@b", "", "without a password"},
		{"gs://u:S3KR1T@b", "", "gs:// has none"},
		{"s3://b?secret-access-key=S3KR1T&region=a", "region=b", "the source URL says a"},
	} {
		_, err := finished(t, tt.source, tt.list)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "S3KR1T") {
			t.Errorf("%s -o %s: %v, want %q", tt.source, tt.list, err, tt.want)
		}
	}
}

func TestEnvSecrets(t *testing.T) {
	flags, rest := New().EnvSecrets([]string{
		"HOME=/h", "PAILFS_SECRET_ACCESS_KEY=a=b", "PAILFS_MEMORY=1G", "PAILFS_CREDENTIALS=/file", "PAILFS_SAS=", "AWS_SECRET_ACCESS_KEY=x", "PAILFS_ACCOUNT=a",
	})
	if want := []string{"--secret-access-key=a=b"}; !slices.Equal(flags, want) {
		t.Errorf("flags %q", flags)
	}
	if want := []string{"HOME=/h", "PAILFS_MEMORY=1G", "PAILFS_CREDENTIALS=/file", "PAILFS_SAS=", "AWS_SECRET_ACCESS_KEY=x", "PAILFS_ACCOUNT=a"}; !slices.Equal(rest, want) {
		t.Errorf("environment %q", rest)
	}
}

// TestScrubLeavesSense: words of a message that happen to be an access key.
func TestScrubLeavesSense(t *testing.T) {
	o, err := finished(t, "minio://minio:pwd@b", "")
	if err != nil {
		t.Fatal(err)
	}
	if text := "minio://b: the password of minio is wrong"; o.Scrub(text) != text {
		t.Errorf("%q", o.Scrub(text))
	}
}

// TestOptionSecretsStayHidden: in whatever way one may be repeated.
func TestOptionSecretsStayHidden(t *testing.T) {
	for _, tt := range []struct {
		source, list string
		shows        []string
	}{
		{"s3://b", "secret-access-key=S3KR1T/+x", []string{"S3KR1T/+x", "S3KR1T%2F%2Bx", "S3KR1T%2F+x"}},
		{"azure://c", `connection-string="AccountName=a;AccountKey=S3KR1T==;EndpointSuffix=x"`, []string{"key S3KR1T==", "AccountKey=S3KR1T%3D%3D;"}},
		{"azure://c", "sas=?sv=1&sig=S3KR1T%3D", []string{"?sv=1&sig=S3KR1T%3D", "sig=S3KR1T%3D", "S3KR1T="}},
		{"gs://b", `credentials={\"private_key\":\"-\nS3KR1T\n-\"}`, []string{"-\nS3KR1T\n-", `err="-\nS3KR1T\n-"`}},
	} {
		o, err := finished(t, tt.source, tt.list)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range append(tt.shows, fmt.Sprint(o), fmt.Sprintf("%+v %#v", *o, *o), o.URL(), o.FsName()) {
			if got := o.Scrub(text); strings.Contains(got, "S3KR1T") {
				t.Errorf("%s: Scrub(%q) = %q", tt.list, text, got)
			}
		}
		for _, text := range []string{fmt.Sprint(o), fmt.Sprintf("%+v %#v", *o, *o), o.FsName(), Redact(o.Source)} {
			if strings.Contains(text, "S3KR1T") {
				t.Errorf("%s: shown as %s", tt.list, text)
			}
		}
	}
}
