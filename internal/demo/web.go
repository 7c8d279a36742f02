// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// askEvery is the pause between two requests of a client that goes on asking.
	askEvery = 20 * time.Millisecond
	// askFor bounds one request, on a busy machine too.
	askFor = 30 * time.Second
)

// The lines by which the web's helpers tell how far they are.
const (
	servingLine = "serving"
	askingLine  = "asking"
	keptLine    = "%d answers, %d failures"
)

// web is what Helper does with pages: "serve WORDS" is a server of one page, "get URL"
// asks once, "keep URL" asks until it is ended and counts, "until URL WORDS" asks until
// a page has these words, "ask SERVER NAME" asks a name server, and "store ADDRESS FOLDER"
// is a store of objects.
func web(out io.Writer, args []string) (known bool, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	switch {
	case len(args) == 2 && args[0] == "serve":
		return true, servePage(ctx, out, args[1])
	case len(args) == 2 && args[0] == "get":
		page, err := getPage(ctx, args[1])
		fmt.Fprint(out, page)
		return true, err
	case len(args) == 2 && args[0] == "keep":
		return true, keepAsking(ctx, out, args[1])
	case len(args) == 3 && args[0] == "until":
		return true, askUntil(ctx, out, args[1], args[2])
	case len(args) == 3 && args[0] == "store":
		return true, serveStore(ctx, out, args[1], args[2])
	case len(args) == 3 && args[0] == "ask":
		answers, err := askName(ctx, args[1], args[2])
		fmt.Fprintln(out, answers)
		return true, err
	}
	return false, nil
}

func servePage(ctx context.Context, out io.Writer, words string) error {
	s := &http.Server{Addr: ":80", ReadHeaderTimeout: askFor, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, words) // nobody to tell when the client is gone
	})}
	context.AfterFunc(ctx, func() { s.Close() })
	fmt.Fprintln(out, servingLine)
	if err := s.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}

// newcomer opens a connection for each request: where a name leads to now is asked for
// each, too.
var newcomer = &http.Client{Timeout: askFor, Transport: &http.Transport{DisableKeepAlives: true}}

func getPage(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := newcomer.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	return string(page), err
}

func keepAsking(ctx context.Context, out io.Writer, url string) error {
	answers, failures := 0, 0
	var last error
	for ctx.Err() == nil {
		_, err := getPage(ctx, url)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			failures, last = failures+1, err
		default:
			if answers++; answers == 1 {
				fmt.Fprintln(out, askingLine)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(askEvery):
		}
	}
	fmt.Fprintf(out, keptLine+"\n", answers, failures)
	return last
}

func askUntil(ctx context.Context, out io.Writer, url, words string) error {
	ctx, cancel := context.WithTimeout(ctx, probeFor)
	defer cancel()
	for attempt := 1; ; attempt++ {
		page, err := getPage(ctx, url)
		if err == nil && strings.Contains(page, words) {
			fmt.Fprintf(out, answeredLine+"\n", monotonic(), attempt)
			return nil
		}
		if attempt == 1 {
			fmt.Fprintln(out, tryingLine)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d attempts, the last page was %q: %w", attempt, page, err)
		case <-time.After(askEvery):
		}
	}
}
