package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pailfs/pailfs/integration/servers"
)

// TestCredentialsThatRotate: the store refuses the credentials under a running
// mount, in the middle of a large file and of other calls, and new ones come a
// moment later where the old ones came from. No call fails, and nobody sends a
// signal.
func TestCredentialsThatRotate(t *testing.T) {
	for name, start := range map[string]func(*testing.T) rotation{
		"profile": profileRotation, "web identity": identityRotation,
		"service account": accountRotation, "shared access signature": signatureRotation,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			r.replace("first")
			rig := &faultRig{p: r.place, proxy: r.proxy, m: r.place.mount(t, "--attr-ttl=0", "--timeout=2m")}
			if rig.p.kind == "azure" {
				rig.without = "rename" // Azurite answers 500 to a copy that a signature authorizes
			}
			rig.settle(t)
			half, err := os.Create(filepath.Join(rig.m.dir, "half"))
			check(t, err)
			defer half.Close()
			b := noise(1, 3*partSize)
			_, err = half.Write(b[:2*partSize])
			check(t, err)
			check(t, half.Sync())

			r.gate.only("second")
			var done sync.WaitGroup
			done.Go(func() {
				if _, err := half.Write(b[2*partSize:]); err != nil {
					t.Error(err)
				}
				if err := half.Close(); err != nil {
					t.Errorf("close of a large file: %v", err)
				}
			})
			done.Go(func() {
				for call, outcome := range rig.calls(t) {
					if outcome != "done" {
						t.Errorf("%s: %s", call, outcome)
					}
				}
			})
			r.gate.refuses(t)
			r.replace("second")
			done.Wait()
			rig.p.holds(t, "half", b, "with the second credentials")
			rig.m.umount(t)
		})
	}
}

// rotation is a place whose store takes the credentials of one name only.
type rotation struct {
	place   *place
	proxy   *faultProxy
	gate    *keyGate
	replace func(name string) // gives pailfs those of another name
}

func profileRotation(t *testing.T) rotation {
	p := newPlace(t, "s3")
	proxy, gate := gatedS3(t, p, http.StatusForbidden, "InvalidAccessKeyId")
	file := filepath.Join(tempDir(t), "credentials")
	p.env = []string{"AWS_SHARED_CREDENTIALS_FILE=" + file}
	return rotation{p, proxy, gate, func(name string) { replaceFile(t, file, profile(name, "secret of "+name)) }}
}

// identityRotation has a token service that gives out keys which never end by
// themselves: the bucket refuses them.
func identityRotation(t *testing.T) rotation {
	p := newPlace(t, "s3")
	proxy, gate := gatedS3(t, p, http.StatusBadRequest, "ExpiredToken")
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.FormValue("WebIdentityToken")
		w.Header().Set("Content-Type", "text/xml")
		if !gate.takes(name) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code><Message>expired</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId>`+
			`<SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>%s</Expiration></Credentials>`+
			`</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, name, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(sts.Close)
	file := filepath.Join(tempDir(t), "token")
	p.env = []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + file, "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/backup",
		"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_STS=" + sts.URL}
	return rotation{p, proxy, gate, func(name string) { replaceFile(t, file, name) }}
}

// accountRotation has the key file of a service account: the id of the key is in
// the header of each token.
func accountRotation(t *testing.T) rotation {
	p := newPlace(t, "gcs")
	p.store(t) // looks at the server itself
	gate := newKeyGate("first", keyOfToken, func(w http.ResponseWriter) {
		http.Error(w, `{"error":{"code":401,"message":"Invalid Credentials","errors":[{"reason":"authError"}]}}`, http.StatusUnauthorized)
	})
	proxy := gate.before(t, servers.GCS(t).URL)
	file := filepath.Join(tempDir(t), "key.json")
	p.source = sourceAt(t, p.source, "http://"+proxy.addr+"/storage/v1", "credentials", file)
	key := privateKey(t)
	return rotation{p, proxy, gate, func(name string) {
		text, err := json.Marshal(map[string]string{
			"type": "service_account", "project_id": "p", "private_key_id": name, "private_key": key,
			"client_email": "a@p.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token",
		})
		check(t, err)
		replaceFile(t, file, string(text))
	}}
}

// signatureRotation has shared access signatures, each of which ends at another
// time and is known by it.
func signatureRotation(t *testing.T) rotation {
	p := newPlace(t, "azure")
	p.store(t) // looks at the server itself
	ep := servers.Azure(t)
	u, err := url.Parse(p.source)
	check(t, err)
	signatures := map[string]string{}
	for i, name := range []string{"first", "second"} {
		signatures[name] = sharedAccess(t, ep, u.Host, time.Now().Add(time.Duration(i+1)*time.Hour))
	}
	gate := newKeyGate("first", func(r *http.Request) string {
		for name, s := range signatures {
			if q, _ := url.ParseQuery(s); q.Get("sig") == r.URL.Query().Get("sig") {
				return name
			}
		}
		return "none"
	}, func(w http.ResponseWriter) {
		w.Header().Set("x-ms-error-code", "AuthenticationFailed")
		http.Error(w, `<Error><Code>AuthenticationFailed</Code><Message>Signature not valid in the specified time frame</Message></Error>`, http.StatusForbidden)
	})
	proxy := gate.before(t, ep.Host())
	file := filepath.Join(tempDir(t), "signature")
	p.source = sourceAt(t, p.source, "http://"+proxy.addr, "credentials", file)
	return rotation{p, proxy, gate, func(name string) { replaceFile(t, file, signatures[name]) }}
}

// sourceAt is a source at another endpoint, with more parameters: name, value.
func sourceAt(t *testing.T, source, endpoint string, more ...string) string {
	u, err := url.Parse(source)
	check(t, err)
	q := url.Values{"endpoint": {endpoint}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// replaceFile writes a file as those do who rotate credentials.
func replaceFile(t *testing.T, file, text string) {
	t.Helper()
	check(t, os.WriteFile(file+".new", []byte(text), 0o600))
	check(t, os.Rename(file+".new", file))
}

// TestInstanceCredentials: those of an instance's metadata end again and again,
// and are renewed ahead of that.
func TestInstanceCredentials(t *testing.T) {
	t.Parallel()
	const lifetime = 4 * time.Second
	p := newPlace(t, "s3")
	proxy, gate := gatedS3(t, p, http.StatusBadRequest, "ExpiredToken")
	born := time.Now()
	nameNow := func() string { return fmt.Sprintf("K%d", time.Since(born)/lifetime) }
	gate.takes = func(name string) bool { // the one before has a moment left
		return name == nameNow() || name == fmt.Sprintf("K%d", time.Since(born)/lifetime-1)
	}
	imds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const at = "/latest/meta-data/iam/security-credentials/"
		switch r.URL.Path {
		case "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, "token")
		case at:
			fmt.Fprint(w, "role")
		case at + "role":
			n := time.Since(born)/lifetime + 1
			json.NewEncoder(w).Encode(map[string]string{
				"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": nameNow(), "SecretAccessKey": "secret", "Token": "token",
				"Expiration": born.Add(n * lifetime).UTC().Format(time.RFC3339),
			})
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(imds.Close)
	p.env = []string{"AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + imds.URL}
	rig := &faultRig{p: p, proxy: proxy, m: p.mount(t, "--attr-ttl=0", "--timeout=2m")}
	for limit := time.Now().Add(commandLimit); gate.keys() < 3; {
		rig.settle(t)
		for call, outcome := range rig.calls(t) {
			if outcome != "done" {
				t.Errorf("%s: %s", call, outcome)
			}
		}
		if time.Now().After(limit) {
			t.Fatalf("%d keys were used", gate.keys())
		}
	}
	rig.m.umount(t)
}

// TestRereadOnSignal: after SIGHUP the credentials that a profile has now are used;
// a profile that was spoilt leaves those in use, and wrong ones are made good
// without another signal.
func TestRereadOnSignal(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "s3")
	file := filepath.Join(tempDir(t), "credentials")
	p.env = []string{"AWS_SHARED_CREDENTIALS_FILE=" + file}
	key, secret := p.bucket.endpoint.AccessKey, p.bucket.endpoint.SecretKey
	replaceFile(t, file, profile(key, secret))
	m := p.mount(t, "--attr-ttl=0s")
	put := func(name string) error { return os.WriteFile(filepath.Join(m.dir, name), []byte(name), 0o644) }
	check(t, put("before"))

	replaceFile(t, file, "[default]\n")
	check(t, unix.Kill(m.pid, unix.SIGHUP))
	m.logs(t, "the old ones stay")
	check(t, put("spoilt"))

	replaceFile(t, file, profile(key, "wrong"))
	check(t, unix.Kill(m.pid, unix.SIGHUP))
	m.logs(t, "reloaded")
	written := make(chan error, 1)
	go func() { written <- put("wrong") }()
	m.logs(t, "trying again")
	select {
	case err := <-written:
		t.Errorf("written with a wrong secret: %v", err)
	default:
	}
	replaceFile(t, file, profile(key, secret))
	check(t, <-written)
	p.holds(t, "wrong", []byte("wrong"), "with credentials that were read again")
	m.umount(t)
}
