# A database that exists already, offered by its ARN, and an endpoint with its own names.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

variable "arn" {
  description = "The ARN of the database, once there is one."
  type        = string
  default     = ""
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
  name       = "databases"
  vpc_id     = aws_vpc.this["provider"].id
  subnet_ids = [aws_subnet.this["provider"].id]
}

resource "aws_vpclattice_resource_configuration" "this" {
  count = var.arn == "" ? 0 : 1

  name                        = "shop"
  type                        = "ARN"
  resource_gateway_identifier = aws_vpclattice_resource_gateway.this.id

  resource_configuration_definition {
    arn_resource {
      arn = var.arn
    }
  }
}

resource "aws_vpc_endpoint" "this" {
  count = var.arn == "" ? 0 : 1

  vpc_endpoint_type          = "Resource"
  vpc_id                     = aws_vpc.this["consumer"].id
  subnet_ids                 = [aws_subnet.this["consumer"].id]
  resource_configuration_arn = aws_vpclattice_resource_configuration.this[0].arn
  private_dns_enabled        = true
}

output "vpc" {
  value = aws_vpc.this["provider"].id
}
