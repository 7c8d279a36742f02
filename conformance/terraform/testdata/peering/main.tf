# VPCs of two accounts that are peered, with routes on both sides, and a group of the one in
# a rule of the other; and in one of them interface endpoints to two APIs.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

variable "accepter" {
  description = "The key of the account of the other VPC, and the account."
  type        = object({ id = string, secret = string, account = string })
}

variable "changed" {
  description = "Change what can be changed in place."
  type        = bool
  default     = false
}

# The requester: the account whose key the environment has.
provider "aws" {}

provider "aws" {
  alias      = "accepter"
  access_key = var.accepter.id
  secret_key = var.accepter.secret
}

# What endpoints can lead to: an API of Postern's own, by the word for it and by its name.
data "aws_vpc_endpoint_service" "ec2" {
  service      = "ec2"
  service_type = "Interface"
}

data "aws_vpc_endpoint_service" "named" {
  service_name = data.aws_vpc_endpoint_service.ec2.service_name
  lifecycle {
    postcondition {
      condition     = self.owner == "amazon" && self.private_dns_name != "" && length(self.availability_zones) > 1
      error_message = "The service is not told as those of AWS are."
    }
  }
}

resource "aws_vpc" "requester" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
}

resource "aws_subnet" "hub" {
  count             = 2
  vpc_id            = aws_vpc.requester.id
  cidr_block        = "10.0.${10 + count.index}.0/24"
  availability_zone = sort(data.aws_vpc_endpoint_service.named.availability_zones)[count.index]
}

resource "aws_vpc_endpoint" "ec2" {
  vpc_id              = aws_vpc.requester.id
  service_name        = data.aws_vpc_endpoint_service.ec2.service_name
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [for s in aws_subnet.hub : s.id if var.changed || s.cidr_block == "10.0.10.0/24"]
  security_group_ids  = [aws_security_group.clients.id]
  private_dns_enabled = !var.changed
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = "*", Action = var.changed ? "ec2:Describe*" : "ec2:*", Resource = "*" }]
  })
  dns_options {
    dns_record_ip_type                             = "ipv4"
    private_dns_only_for_inbound_resolver_endpoint = false
  }
  tags = { Name = var.changed ? "changed" : "ec2" }
}

# One of which the rest is said by resources of its own. With its subnet it is the same, but
# there the provider waits a minute before it looks, when it is made and when it goes.
resource "aws_vpc_endpoint" "rds" {
  vpc_id              = aws_vpc.requester.id
  service_name        = replace(data.aws_vpc_endpoint_service.ec2.service_name, "/ec2$/", "rds")
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [aws_subnet.hub[1].id]
  private_dns_enabled = false
  lifecycle { ignore_changes = [private_dns_enabled] }
}

resource "aws_vpc_endpoint_security_group_association" "rds" {
  vpc_endpoint_id             = aws_vpc_endpoint.rds.id
  security_group_id           = aws_security_group.clients.id
  replace_default_association = true
}

resource "aws_vpc_endpoint_policy" "rds" {
  vpc_endpoint_id = aws_vpc_endpoint.rds.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = var.changed ? "Deny" : "Allow", Principal = "*", Action = "*", Resource = "*" }]
  })
}

resource "aws_vpc_endpoint_private_dns" "rds" {
  vpc_endpoint_id     = aws_vpc_endpoint.rds.id
  private_dns_enabled = !var.changed
}

resource "aws_vpc" "accepter" {
  provider   = aws.accepter
  cidr_block = "10.1.0.0/16"
}

resource "aws_vpc_peering_connection" "this" {
  vpc_id        = aws_vpc.requester.id
  peer_vpc_id   = aws_vpc.accepter.id
  peer_owner_id = var.accepter.account
  tags          = { Side = "requester" }
}

resource "aws_vpc_peering_connection_accepter" "this" {
  provider                  = aws.accepter
  vpc_peering_connection_id = aws_vpc_peering_connection.this.id
  auto_accept               = true
  tags                      = { Side = var.changed ? "changed" : "accepter" }
}

resource "aws_vpc_peering_connection_options" "requester" {
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
  requester {
    allow_remote_vpc_dns_resolution = !var.changed
  }
}

resource "aws_vpc_peering_connection_options" "accepter" {
  provider                  = aws.accepter
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
  accepter {
    allow_remote_vpc_dns_resolution = true
  }
}

resource "aws_route" "requester" {
  route_table_id            = aws_vpc.requester.main_route_table_id
  destination_cidr_block    = var.changed ? "10.1.0.0/20" : "10.1.0.0/16"
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
}

resource "aws_route_table" "accepter" {
  provider = aws.accepter
  vpc_id   = aws_vpc.accepter.id
  route {
    cidr_block                = "10.0.0.0/16"
    vpc_peering_connection_id = aws_vpc_peering_connection_accepter.this.id
  }
}

resource "aws_security_group" "clients" {
  name   = "clients"
  vpc_id = aws_vpc.requester.id
}

resource "aws_security_group" "servers" {
  provider = aws.accepter
  name     = "servers"
  vpc_id   = aws_vpc.accepter.id
  ingress {
    protocol        = "tcp"
    from_port       = 5432
    to_port         = 5432
    security_groups = ["${data.aws_caller_identity.requester.account_id}/${aws_security_group.clients.id}"]
  }
  depends_on = [aws_vpc_peering_connection_accepter.this]
}

resource "aws_vpc_security_group_ingress_rule" "apart" {
  provider                     = aws.accepter
  security_group_id            = aws_security_group.apart.id
  ip_protocol                  = "tcp"
  from_port                    = 80
  to_port                      = 80
  referenced_security_group_id = "${data.aws_caller_identity.requester.account_id}/${aws_security_group.clients.id}"
  depends_on                   = [aws_vpc_peering_connection_accepter.this]
}

resource "aws_security_group" "apart" {
  provider = aws.accepter
  name     = "apart"
  vpc_id   = aws_vpc.accepter.id
}

data "aws_caller_identity" "requester" {}

data "aws_vpc_peering_connection" "found" {
  vpc_id      = aws_vpc.requester.id
  peer_vpc_id = aws_vpc.accepter.id
  status      = "active"
  depends_on  = [aws_vpc_peering_connection_accepter.this]
}

output "found" {
  value = {
    id     = data.aws_vpc_peering_connection.found.id == aws_vpc_peering_connection.this.id
    block  = data.aws_vpc_peering_connection.found.peer_cidr_block
    status = aws_vpc_peering_connection_accepter.this.accept_status
  }
}

output "regional" {
  value = trimprefix(aws_vpc_endpoint.ec2.dns_entry[0].dns_name, aws_vpc_endpoint.ec2.id)
}
