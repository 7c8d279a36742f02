// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httputil"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// store keeps objects in memory and is asked as S3 is, with the bucket in the path. It has
// what the AWS CLI needs to make a bucket, to copy a file there and back, and to list, and it
// serves whoever reaches it: signatures are not checked.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
type store struct {
	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	made    time.Time
	objects map[string]object
}

type object struct {
	content []byte
	put     time.Time
}

// serveStore serves an empty store at an address until the context ends. The folder has the
// certificate and its key, as `postern service certificate` writes them.
func serveStore(ctx context.Context, out io.Writer, address, folder string) error {
	s := &http.Server{Addr: address, ReadHeaderTimeout: askFor, Handler: &store{buckets: map[string]bucket{}}}
	context.AfterFunc(ctx, func() { s.Close() })
	fmt.Fprintln(out, servingLine)
	if err := s.ListenAndServeTLS(filepath.Join(folder, "certificate.pem"), filepath.Join(folder, "key.pem")); ctx.Err() == nil {
		return err
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	b, known := s.buckets[name]
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case name == "" && read:
		s.list(w)
	case r.Method == http.MethodPut && key == "":
		if known {
			refuse(w, http.StatusConflict, "BucketAlreadyOwnedByYou", "the bucket is there already")
			return
		}
		s.buckets[name] = bucket{time.Now(), map[string]object{}}
		w.Header().Set("Location", "/"+name)
	case !known:
		refuse(w, http.StatusNotFound, "NoSuchBucket", "there is no such bucket")
	case r.Method == http.MethodPut:
		b.put(w, r, key)
	case key == "" && read:
		b.list(w, name, r.URL.Query().Get("prefix"))
	case read:
		b.get(w, r, key)
	default:
		refuse(w, http.StatusNotImplemented, "NotImplemented", "this store has no such operation")
	}
}

// put keeps an object. What is signed in parts, or has its checksum at its end, comes in
// chunks: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
func (b bucket) put(w http.ResponseWriter, r *http.Request, key string) {
	var body io.Reader = r.Body
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		body = httputil.NewChunkedReader(body)
	}
	content, err := io.ReadAll(io.LimitReader(body, 1<<20))
	if err != nil {
		refuse(w, http.StatusBadRequest, "IncompleteBody", err.Error())
		return
	}
	o := object{content, time.Now()}
	b.objects[key] = o
	w.Header().Set("ETag", o.tag())
}

func (b bucket) get(w http.ResponseWriter, r *http.Request, key string) {
	o, ok := b.objects[key]
	if !ok {
		refuse(w, http.StatusNotFound, "NoSuchKey", "there is no such object")
		return
	}
	w.Header().Set("ETag", o.tag())
	w.Header().Set("Content-Type", "binary/octet-stream")
	http.ServeContent(w, r, "", o.put, bytes.NewReader(o.content))
}

func (o object) tag() string { return fmt.Sprintf(`"%x"`, md5.Sum(o.content)) }

// answered* are the answers, as S3 spells them.
type (
	answeredBuckets struct {
		XMLName xml.Name         `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Buckets []answeredBucket `xml:"Buckets>Bucket"`
	}
	answeredBucket struct{ Name, CreationDate string }

	answeredObjects struct {
		XMLName     xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
		Name        string
		KeyCount    int
		IsTruncated bool
		Contents    []answeredObject
	}
	answeredObject struct {
		Key, LastModified, ETag string
		Size                    int
	}

	answeredError struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}
)

// timeForm is how S3 writes times.
const timeForm = "2006-01-02T15:04:05.000Z"

func (s *store) list(w http.ResponseWriter) {
	var out answeredBuckets
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		out.Buckets = append(out.Buckets, answeredBucket{name, s.buckets[name].made.UTC().Format(timeForm)})
	}
	reply(w, http.StatusOK, out)
}

func (b bucket) list(w http.ResponseWriter, name, prefix string) {
	out := answeredObjects{Name: name}
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if o := b.objects[key]; strings.HasPrefix(key, prefix) {
			out.Contents = append(out.Contents, answeredObject{key, o.put.UTC().Format(timeForm), o.tag(), len(o.content)})
		}
	}
	out.KeyCount = len(out.Contents)
	reply(w, http.StatusOK, out)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	reply(w, status, answeredError{Code: code, Message: message})
}

// reply writes an answer; there is nobody to tell when the client is gone.
func reply(w http.ResponseWriter, status int, answer any) {
	text, err := xml.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
