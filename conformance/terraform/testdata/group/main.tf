# A group of resources on one port, and an endpoint that leads to each of them.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

variable "changed" {
  description = "Change what can be changed in place, and the members of the group."
  type        = bool
  default     = false
}

locals {
  children = var.changed ? { web = "10.0.200.20", search = "10.0.200.30" } : { database = "10.0.200.10", web = "10.0.200.21" }
}

resource "aws_vpc" "this" {
  for_each = toset(["provider", "consumer"])

  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = each.key }
}

resource "aws_subnet" "this" {
  for_each = aws_vpc.this

  vpc_id            = each.value.id
  availability_zone = "us-east-1a"
  cidr_block        = "10.0.1.0/24"
}

resource "aws_vpclattice_resource_gateway" "this" {
  name       = "group"
  vpc_id     = aws_vpc.this["provider"].id
  subnet_ids = [aws_subnet.this["provider"].id]
}

resource "aws_vpclattice_resource_configuration" "group" {
  name                        = "services"
  type                        = "GROUP"
  protocol                    = "TCP"
  resource_gateway_identifier = aws_vpclattice_resource_gateway.this.id
  tags                        = { Name = var.changed ? "all services" : "services" }
}

resource "aws_vpclattice_resource_configuration" "child" {
  for_each = local.children

  name                            = each.key
  type                            = "CHILD"
  port_ranges                     = var.changed ? ["443", "8000-8010"] : ["443"]
  resource_configuration_group_id = aws_vpclattice_resource_configuration.group.id

  resource_configuration_definition {
    ip_resource {
      ip_address = each.value
    }
  }
}

resource "aws_vpc_endpoint" "this" {
  vpc_endpoint_type          = "Resource"
  vpc_id                     = aws_vpc.this["consumer"].id
  subnet_ids                 = [aws_subnet.this["consumer"].id]
  resource_configuration_arn = aws_vpclattice_resource_configuration.group.arn
  private_dns_enabled        = true
}

data "aws_vpc_endpoint_associations" "this" {
  vpc_endpoint_id = aws_vpc_endpoint.this.id
  depends_on      = [aws_vpclattice_resource_configuration.child]
}

output "group" {
  value = {
    members  = sort([for a in data.aws_vpc_endpoint_associations.this.associations : a.associated_resource_arn])
    children = sort([for c in aws_vpclattice_resource_configuration.child : c.arn])
  }
}
