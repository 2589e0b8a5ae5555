package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/pailfs/pailfs/integration/servers"
)

// azureStore is Blob Storage: Azurite, and azblob.
type azureStore struct{}

func (azureStore) namesItself() bool { return false }

func (azureStore) start(string) (access, servers.Own, error) {
	ep, own, err := servers.StartAzure()
	return access{Store: "azure", Endpoint: ep.URL, Account: ep.Account, Secret: ep.Key}, own, err
}

func (azureStore) pailfs(a access, bucket string) (env, options []string, source string) {
	// Of the emulator's account pailfs knows the key.
	ep := servers.AzureEndpoint{URL: a.Endpoint, Account: a.Account, Key: a.Secret}
	return ep.Env(), []string{"--endpoint", a.Endpoint}, "azure://" + bucket
}

func (azureStore) client(a access, parallel int) (client, error) {
	key, err := service.NewSharedKeyCredential(a.Account, a.Secret)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: parallel, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize, DisableCompression: true}
	options := &service.ClientOptions{ClientOptions: policy.ClientOptions{Transport: &http.Client{Transport: transport}}}
	c, err := service.NewClientWithSharedKeyCredential(a.Endpoint, key, options)
	return azureClient{c: c}, err
}

type azureClient struct {
	c       *service.Client
	checked bool // reads
}

func (c azureClient) blob(bucket, key string) *blockblob.Client {
	return c.c.NewContainerClient(bucket).NewBlockBlobClient(key)
}

func (c azureClient) makeBucket(ctx context.Context, bucket string) error {
	_, err := c.c.CreateContainer(ctx, bucket, nil)
	return err
}

func (c azureClient) put(ctx context.Context, bucket, key string, body *io.SectionReader) error {
	_, err := c.blob(bucket, key).Upload(ctx, streaming.NopCloser(body), nil)
	return err
}

// checkedReads is the client that has each range checked by its MD5, as pailfs
// has. The service gives one to ranges of at most 4 MiB.
func (c azureClient) checkedReads() (checked client, most int64) {
	c.checked = true
	return c, 4 << 20
}

func (c azureClient) get(ctx context.Context, bucket, key string, off, n int64) (io.ReadCloser, error) {
	options := &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: off, Count: max(n, 0)}} // 0 is to the end
	if c.checked {
		options.RangeGetContentMD5 = to.Ptr(true)
	}
	resp, err := c.blob(bucket, key).DownloadStream(ctx, options)
	switch {
	case err != nil:
		return nil, err
	case !c.checked:
		return resp.Body, nil
	}
	return &checkedBody{resp.Body, md5.New(), resp.ContentMD5}, nil
}

// checkedBody compares, when it is closed, what was read with its MD5.
type checkedBody struct {
	io.ReadCloser
	sum  hash.Hash
	want []byte
}

func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sum.Write(p[:n])
	return n, err
}

func (b *checkedBody) Close() error {
	err := b.ReadCloser.Close()
	if got := b.sum.Sum(nil); !bytes.Equal(got, b.want) {
		err = errors.Join(err, fmt.Errorf("the MD5 is %x, not %x", got, b.want))
	}
	return err
}

func (c azureClient) size(ctx context.Context, bucket, key string) (int64, error) {
	p, err := c.blob(bucket, key).GetProperties(ctx, nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound) {
		return 0, errNotStored
	}
	if err != nil {
		return 0, err
	}
	return *p.ContentLength, nil
}

func (c azureClient) list(ctx context.Context, bucket string, each func(key string, size int64)) error {
	pages := c.c.NewContainerClient(bucket).NewListBlobsFlatPager(nil)
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, b := range page.Segment.BlobItems {
			each(*b.Name, *b.Properties.ContentLength)
		}
	}
	return nil
}

func (c azureClient) remove(ctx context.Context, bucket, key string) error {
	_, err := c.blob(bucket, key).Delete(ctx, nil)
	return err
}

func (c azureClient) upload(_ context.Context, bucket, key string, parts int) (upload, error) {
	u := &azureUpload{c: c.blob(bucket, key)}
	for i := range parts {
		u.ids = append(u.ids, base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%05d", i)))
	}
	return u, nil
}

type azureUpload struct {
	c   *blockblob.Client
	ids []string
}

func (u *azureUpload) part(ctx context.Context, i int, body *io.SectionReader) error {
	sum := md5.New() // emulators check no other
	if _, err := io.Copy(sum, body); err != nil {
		return err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := u.c.StageBlock(ctx, u.ids[i], streaming.NopCloser(body), &blockblob.StageBlockOptions{
		TransactionalValidation: blob.TransferValidationTypeMD5(sum.Sum(nil))})
	return err
}

func (u *azureUpload) commit(ctx context.Context) error {
	_, err := u.c.CommitBlockList(ctx, u.ids, nil)
	return err
}
