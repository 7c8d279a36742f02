# An organization with units, an account and service control policies.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

provider "aws" {}

variable "changed" {
  description = "Change what can be changed in place."
  type        = bool
  default     = false
}

resource "aws_organizations_organization" "this" {
  feature_set                   = "ALL"
  enabled_policy_types          = ["SERVICE_CONTROL_POLICY"]
  aws_service_access_principals = var.changed ? ["ram.amazonaws.com"] : ["ram.amazonaws.com", "cloudtrail.amazonaws.com"]
}

resource "aws_organizations_organizational_unit" "outer" {
  name      = var.changed ? "tenants" : "outer"
  parent_id = aws_organizations_organization.this.roots[0].id
  tags      = { stage = var.changed ? "two" : "one" }
}

resource "aws_organizations_organizational_unit" "inner" {
  name      = "inner"
  parent_id = aws_organizations_organizational_unit.outer.id
}

resource "aws_organizations_account" "team" {
  name              = "team"
  email             = "terraform@example.com"
  parent_id         = var.changed ? aws_organizations_organizational_unit.outer.id : aws_organizations_organizational_unit.inner.id
  close_on_deletion = true
  tags              = { team = "a" }
}

resource "aws_organizations_policy" "no_vpcs" {
  depends_on  = [aws_organizations_organization.this]
  name        = "no-vpcs"
  description = var.changed ? "changed" : "first"
  content = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Deny", Action = var.changed ? ["ec2:CreateVpc", "ec2:CreateSubnet"] : ["ec2:CreateVpc"], Resource = "*" }]
  })
}

resource "aws_organizations_policy_attachment" "unit" {
  policy_id = aws_organizations_policy.no_vpcs.id
  target_id = aws_organizations_organizational_unit.outer.id
}

resource "aws_organizations_policy_attachment" "account" {
  policy_id = aws_organizations_policy.no_vpcs.id
  target_id = aws_organizations_account.team.id
}

data "aws_organizations_organization" "seen" {
  depends_on = [aws_organizations_account.team]
}

output "accounts" {
  value = length([for a in data.aws_organizations_organization.seen.accounts : a if a.status == "ACTIVE" && a.name == "team"])
}
