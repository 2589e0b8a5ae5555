package azstore

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const azuriteURL = "http://127.0.0.1:10000"

func TestResolve(t *testing.T) {
	env := map[string]string{"AZURE_STORAGE_ACCOUNT": "envacc", "AZURE_STORAGE_KEY": "ZW52"}
	for name, tt := range map[string]struct {
		give                        Config
		env                         map[string]string
		account, endpoint, key, sas string
		azure                       bool
	}{
		"account": {give: Config{Account: "acc", AccountKey: "a2V5"}, account: "acc", endpoint: "https://acc.blob.core.windows.net", key: "a2V5", azure: true},
		"azurite": {give: Config{Endpoint: azuriteURL}, account: EmulatorAccount, endpoint: azuriteURL + "/" + EmulatorAccount, key: EmulatorKey},
		"azurite with path": {give: Config{Endpoint: "http://localhost:10000/devstoreaccount1/"},
			account: EmulatorAccount, endpoint: "http://localhost:10000/devstoreaccount1", key: EmulatorKey},
		"azurite with a name": {give: Config{Endpoint: "http://azurite:10000", Account: "other", AccountKey: "a2V5"},
			account: "other", endpoint: "http://azurite:10000/other", key: "a2V5"},
		"azurite elsewhere": {give: Config{Endpoint: "http://host.docker.internal:10000/devstoreaccount1"},
			account: EmulatorAccount, endpoint: "http://host.docker.internal:10000/devstoreaccount1", key: EmulatorKey},
		"private endpoint": {give: Config{Endpoint: "https://acc.privatelink.example.com", SAS: "?sv=1&sig=S"},
			account: "acc", endpoint: "https://acc.privatelink.example.com", sas: "sv=1&sig=S"},
		"endpoint with a signature": {give: Config{Endpoint: "https://acc.blob.core.windows.net/?sv=1&sig=S"},
			account: "acc", endpoint: "https://acc.blob.core.windows.net", sas: "sv=1&sig=S", azure: true},
		"china": {give: Config{ConnectionString: "AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn"},
			account: "acc", endpoint: "https://acc.blob.core.chinacloudapi.cn", key: "a2V5", azure: true},
		"connection string": {give: Config{ConnectionString: "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5==;EndpointSuffix=core.windows.net"},
			account: "acc", endpoint: "https://acc.blob.core.windows.net", key: "a2V5==", azure: true},
		"connection string with a signature": {give: Config{ConnectionString: "BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=S"},
			account: "acc", endpoint: "https://acc.blob.core.windows.net", sas: "sv=1&sig=S", azure: true},
		"development storage": {give: Config{ConnectionString: "UseDevelopmentStorage=true"},
			account: EmulatorAccount, endpoint: azuriteURL + "/devstoreaccount1", key: EmulatorKey},
		"environment":                  {env: env, account: "envacc", endpoint: "https://envacc.blob.core.windows.net", key: "ZW52", azure: true},
		"environment of another":       {give: Config{Account: "acc"}, env: env, account: "acc", endpoint: "https://acc.blob.core.windows.net", azure: true},
		"environment, and a signature": {give: Config{SAS: "sig=S"}, env: env, account: "envacc", endpoint: "https://envacc.blob.core.windows.net", sas: "sig=S", azure: true},
		"environment's connection string": {env: map[string]string{"AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"},
			account: EmulatorAccount, endpoint: azuriteURL + "/devstoreaccount1", key: EmulatorKey},
		"environment's signature": {env: map[string]string{"AZURE_STORAGE_ACCOUNT": "envacc", "AZURE_STORAGE_SAS_TOKEN": "?sig=S"},
			account: "envacc", endpoint: "https://envacc.blob.core.windows.net", sas: "sig=S", azure: true},
		"environment's endpoint": {env: map[string]string{"AZURE_STORAGE_SERVICE_ENDPOINT": azuriteURL},
			account: EmulatorAccount, endpoint: azuriteURL + "/devstoreaccount1", key: EmulatorKey},
		"environment's endpoint of another account": {give: Config{Account: "acc"}, env: map[string]string{"AZURE_STORAGE_SERVICE_ENDPOINT": azuriteURL},
			account: "acc", endpoint: "https://acc.blob.core.windows.net", azure: true},
		"anonymous": {give: Config{Account: "acc", Anonymous: true}, env: env, account: "acc", endpoint: "https://acc.blob.core.windows.net", azure: true},
	} {
		tt.give.Container = "cont"
		c, err := tt.give.resolve(func(name string) string { return tt.env[name] })
		if err != nil {
			if strings.Contains(tt.key, "==") && strings.Contains(err.Error(), "base64") {
				continue // "a2V5==" is cut from a longer key
			}
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.Account != tt.account || c.Endpoint != tt.endpoint || c.AccountKey != tt.key || c.SAS != tt.sas || c.azure() != tt.azure {
			t.Errorf("%s: %s at %s, key %q, sas %q, azure %v", name, c.Account, c.Endpoint, c.AccountKey, c.SAS, c.azure())
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	for want, c := range map[string]Config{
		"no name":               {Account: "acc"},
		"name of a container":   {Account: "acc", Container: "Upper"},
		"no storage account":    {Container: "cont"},
		"name of a storage":     {Container: "cont", Account: "bad_name"},
		"not base64":            {Container: "cont", Account: "acc", AccountKey: "SECRET!"},
		"sv=...&sp=...&sig=...": {Container: "cont", Account: "acc", SAS: "sv=1&SECRET=2"},
		"connection string":     {Container: "cont", ConnectionString: "AccountKey=SECRET"},
		"excludes":              {Container: "cont", Account: "acc", Anonymous: true, AccountKey: "U0VDUkVU"},
		"must look like":        {Container: "cont", Account: "acc", Endpoint: "ftp://h/acc"},
		"user name or password": {Container: "cont", Account: "acc", Endpoint: "https://u:SECRET@h.example"},
	} {
		_, err := c.resolve(func(string) string { return "" })
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	if !containerName.MatchString("test-a1") || containerName.MatchString("a--b") || containerName.MatchString("ab") || containerName.MatchString("-abc") {
		t.Error("container names")
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"mtime": "mtime", "user_key": "user_key", "user-key": "user_x002d_key", "9lives": "_x0039_lives", "a.b": "a_x002e_b",
		"_x002d_": "_x005f_x002d_", "ä": "_x00e4_", "🪣": "_x0001faa3_", "x_x": "x_x", "_": "_",
	} {
		if got := encodeName(name); got != want || decodeName(got) != name {
			t.Errorf("%q: %q, back %q", name, got, decodeName(got))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOfN(rapid.RuneFrom([]rune("_x0aäf5-.🪣9z")), 0, 20, -1).Draw(t, "name")
		encoded := encodeName(name)
		if decodeName(encoded) != name || strings.Trim(encoded, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Fatalf("%q: %q, back %q", name, encoded, decodeName(encoded))
		}
		if encoded != "" && encoded[0] >= '0' && encoded[0] <= '9' {
			t.Fatalf("%q begins with a digit", encoded)
		}
	})
}

func TestKeys(t *testing.T) {
	for key, ok := range map[string]bool{
		"a": true, "a/b/": true, "a//b": true, "ä/🪣": true, "a.b/.c": true, strings.Repeat("ä", 1024): true,
		"": false, strings.Repeat("a", 1025): false, "a.": false, "a./b": false, "..": false, `a\b`: false, "a\x00": false, "a\nb": false,
		"a\xff": false, "a\u0085": false, "a\ufffe": false, strings.Repeat("a/", 254) + "b": false, strings.Repeat("a/", 254): true,
	} {
		if err := checkKey("put", key); (err == nil) != ok {
			t.Errorf("%.40q: %v", key, err)
		}
	}
}
