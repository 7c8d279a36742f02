// SPDX-License-Identifier: Apache-2.0

// Command simulate asks AWS what the corpus of policies asks us, and says where the
// answers differ. It calls "aws iam simulate-custom-policy" once for each question that the operation
// can ask, with the credentials that the AWS CLI finds: nothing is made or
// changed, and the operation costs nothing. The principal needs iam:SimulateCustomPolicy.
//
//	go run ./tool/simulate                 all of the corpus
//	go run ./tool/simulate -file strings   one file
//	go run ./tool/simulate -print          the requests, without asking
//
// With AWS_ENDPOINT_URL it asks Postern itself.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/posternhq/postern/internal/policy/policytest"
)

func main() {
	file := flag.String("file", "", "ask only what this file of the corpus has")
	show := flag.Bool("print", false, "print requests and expected answers, and ask nothing")
	flag.Parse()
	asks, err := policytest.Asks()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var same, differ, refused, other int
	for _, a := range asks {
		if !strings.HasPrefix(a.Where, *file) {
			continue
		}
		request, ok := a.Simulation()
		if !ok {
			other++
			continue
		}
		input, err := json.Marshal(request)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if *show {
			fmt.Printf("%s\t%s\t%s\n", a.Where, a.Want, input)
			continue
		}
		switch got, err := ask(input); {
		case err != nil:
			refused++
			fmt.Printf("%s: %s: not asked: %v\n", a.Where, a.Name, err)
		case got != a.Want:
			differ++
			fmt.Printf("%s: %s: %s, the corpus has %s: %s\n", a.Where, a.Name, got, a.Want, input)
		default:
			same++
		}
	}
	if *show {
		return
	}
	fmt.Printf("%d the same, %d different, %d not taken, %d that the operation cannot ask\n", same, differ, refused, other)
	if differ > 0 {
		os.Exit(1)
	}
}

// ask gives the decision of the one question of a request.
func ask(input []byte) (string, error) {
	cmd := exec.Command("aws", "iam", "simulate-custom-policy", "--output", "json", "--cli-input-json", string(input))
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			return "", errors.New(strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("run the aws cli: %w", err)
	}
	var reply struct {
		EvaluationResults []struct{ EvalDecision string }
	}
	if err := json.Unmarshal(out, &reply); err != nil {
		return "", fmt.Errorf("read the answer of the aws cli: %w", err)
	}
	if len(reply.EvaluationResults) != 1 {
		return "", fmt.Errorf("read the answer of the aws cli: %d results, want one", len(reply.EvaluationResults))
	}
	return reply.EvaluationResults[0].EvalDecision, nil
}
