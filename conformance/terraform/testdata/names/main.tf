# Private hosted zones, their VPCs and their records, of two accounts, and DHCP options.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

variable "changed" {
  description = "Change what can be changed in place."
  type        = bool
  default     = false
}

variable "other" {
  description = "The second account and its key."
  type        = object({ account = string, id = string, secret = string })
}

provider "aws" {}

provider "aws" {
  alias      = "other"
  access_key = var.other.id
  secret_key = var.other.secret
}

resource "aws_vpc" "main" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
}

resource "aws_vpc" "other" {
  provider             = aws.other
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
}

resource "aws_vpc_dhcp_options" "this" {
  domain_name         = "corp.example.com"
  domain_name_servers = ["10.0.9.53", "AmazonProvidedDNS"]
  ntp_servers         = ["10.0.9.123"]
  netbios_node_type   = "2"
  tags                = { Name = var.changed ? "theirs" : "options" }
}

resource "aws_vpc_dhcp_options_association" "this" {
  vpc_id          = aws_vpc.main.id
  dhcp_options_id = aws_vpc_dhcp_options.this.id
}

resource "aws_route53_zone" "private" {
  name          = "db.example.com"
  comment       = var.changed ? "ours" : "mine"
  force_destroy = var.changed
  tags          = { Name = "names" }

  vpc { vpc_id = aws_vpc.main.id }

  lifecycle { ignore_changes = [vpc] }
}

resource "aws_route53_vpc_association_authorization" "other" {
  zone_id = aws_route53_zone.private.zone_id
  vpc_id  = aws_vpc.other.id
}

resource "aws_route53_zone_association" "other" {
  provider = aws.other
  zone_id  = aws_route53_vpc_association_authorization.other.zone_id
  vpc_id   = aws_route53_vpc_association_authorization.other.vpc_id
}

resource "aws_route53_record" "simple" {
  for_each = {
    A    = ["10.0.0.1", "10.0.0.2"]
    AAAA = ["fd00::1"]
    CAA  = ["0 issue \"ca.example.net\""]
    MX   = ["10 mail.example.com"]
    SRV  = ["1 2 5432 db.example.com"]
    TXT  = ["some text", "v=x; y"]
  }

  zone_id = aws_route53_zone.private.zone_id
  name    = "all"
  type    = each.key
  ttl     = var.changed ? 30 : 60
  records = each.value
}

resource "aws_route53_record" "wildcard" {
  zone_id = aws_route53_zone.private.zone_id
  name    = "*.db.example.com"
  type    = var.changed ? "A" : "CNAME"
  ttl     = 60
  records = [var.changed ? "10.0.0.9" : "all.db.example.com"]
}

resource "aws_route53_record" "alias" {
  zone_id = aws_route53_zone.private.zone_id
  name    = ""
  type    = "A"

  alias {
    zone_id                = aws_route53_zone.private.zone_id
    name                   = aws_route53_record.simple["A"].fqdn
    evaluate_target_health = false
  }
}

resource "aws_route53_record" "weighted" {
  for_each = { blue = 3, green = 0 }

  zone_id        = aws_route53_zone.private.zone_id
  name           = "weighted"
  type           = "A"
  ttl            = 60
  records        = ["10.0.1.${each.value}"]
  set_identifier = each.key
  weighted_routing_policy { weight = each.value }
}

data "aws_route53_zone" "found" {
  name         = aws_route53_zone.private.name
  private_zone = true
  vpc_id       = aws_vpc.main.id
}

output "found" {
  value = data.aws_route53_zone.found.zone_id == aws_route53_zone.private.zone_id && length(aws_route53_zone.private.name_servers) == 4
}
