// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/http"
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/aws/schema"
)

// A client of a service that is not mounted gets its errors in the protocol of
// that service, or it cannot read them. A request says what it speaks in most
// protocols; for the others there is what AWS's models say of the services, by
// their signing names. REST-JSON is what the rest speaks.
var foreignProtocols = protocolsByName(map[string]string{
	fault.ProtocolS3:      "s3 s3-object-lambda s3express",
	fault.ProtocolRESTXML: "cloudfront route53",
	fault.ProtocolQuery: `autoscaling cloudformation cloudsearch elasticache elasticbeanstalk elasticloadbalancing iam importexport
		rds redshift sdb ses sns sts`,
	fault.ProtocolJSON10: `airflow-serverless aoss apprunner arc-region-switch b2bi backup-gateway bcm-dashboards
		bcm-pricing-calculator bcm-recommended-actions billing cassandra cloudcontrolapi codeconnections codestar-connections
		compute-optimizer cost-optimization-hub dynamodb evs freetier healthlake invoicing iotfleetwise kendra-ranking
		lookoutequipment monitoring network-firewall odb partnercentral-account partnercentral-benefits partnercentral-channel
		partnercentral-selling payment-cryptography pcs proton route53-recovery-cluster sms-voice sqs states swf timestream
		timestream-influxdb verifiedpermissions voiceid workspaces-instances`,
	fault.ProtocolJSON11: `IoTSecuredTunneling acm acm-pca application-autoscaling applicationinsights appstream athena
		autoscaling-plans bcm-data-exports budgets ce cloud9 cloudhsm cloudtrail codebuild codecommit codedeploy codepipeline
		cognito-identity cognito-idp comprehend comprehendmedical config cur datapipeline datasync dax devicefarm directconnect
		discovery dms ds ec2-instance-connect ecr ecr-public ecs elasticmapreduce events firehose fms forecast frauddetector
		fsx gamelift globalaccelerator glue health identitystore inspector iotthingsgraph kendra kinesis kinesisanalytics kms
		license-manager lightsail logs machinelearning marketplacecommerceanalytics mediastore memorydb mgh mturk-requester
		organizations personalize pi pricing redshift-data redshift-serverless rekognition route53domains route53resolver
		sagemaker secretsmanager servicecatalog servicediscovery servicequotas shield snowball ssm ssm-contacts sso
		storagegateway support tagging textract transcribe transfer translate waf waf-regional wafv2 workmail workspaces`,
})

func protocolsByName(names map[string]string) map[string]string {
	protocols := make(map[string]string)
	for protocol, list := range names {
		for name := range strings.FieldsSeq(list) {
			protocols[name] = protocol
		}
	}
	return protocols
}

// formType is the content type of the query protocol.
const formType = "application/x-www-form-urlencoded"

// nobody renders what happens before anything was read.
var nobody = bare("", fault.ProtocolRESTJSON)

// foreign makes what renders the errors of a service that is not mounted, whose
// signing name is empty when nobody knows it.
func (e *exchange) foreign(signingName string) *mounted {
	return bare(signingName, e.foreignProtocol(signingName))
}

func bare(signingName, protocol string) *mounted {
	s := &schema.Service{Name: signingName, SigningName: signingName, Protocol: protocol}
	return &mounted{Service: s, words: vocabularyOf(s)}
}

// foreignProtocol goes by what the request says before what is known of the
// service, as several of them have changed their protocol or speak more than
// one.
func (e *exchange) foreignProtocol(signingName string) string {
	header := e.http.Header
	known, root := foreignProtocols[signingName], e.http.URL.Path == "/"
	action, _ := e.formParameters()
	switch {
	case header.Get("Smithy-Protocol") == "rpc-v2-cbor":
		return fault.ProtocolCBOR
	case header.Get("X-Amz-Target") != "":
		if strings.HasPrefix(header.Get("Content-Type"), "application/x-amz-json-1.0") {
			return fault.ProtocolJSON10
		}
		return fault.ProtocolJSON11
	case known == fault.ProtocolS3 && strings.HasPrefix(e.http.URL.Path, "/v20180820/"):
		return fault.ProtocolRESTXML // S3 Control
	case known == fault.ProtocolS3, known == fault.ProtocolRESTXML:
		return known
	case action != "" && (root || strings.HasPrefix(header.Get("Content-Type"), formType)):
		return fault.ProtocolQuery
	case known != "" && root: // all that is left of these has no other path
		return known
	}
	return fault.ProtocolRESTJSON
}

// queryError gives the header that clients in the "query mode" of AWS JSON take
// the code of an error from
// (https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait).
func (e *exchange) queryError(header http.Header, f *fault.Error) {
	if e.http.Header.Get("X-Amzn-Query-Mode") == "true" {
		header.Set("X-Amzn-Query-Error", f.Code+";"+f.Fault.String())
	}
}
