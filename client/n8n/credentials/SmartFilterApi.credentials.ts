import type {
  IAuthenticateGeneric,
  Icon,
  ICredentialTestRequest,
  ICredentialType,
  INodeProperties,
} from 'n8n-workflow';

/** The address of a Smart Filter service, and an API key with the scopes `submit` and `read`. */
export class SmartFilterApi implements ICredentialType {
  name = 'smartFilterApi';

  displayName = 'Smart Filter API';

  icon: Icon = {
    light: 'file:../icons/smart-filter.svg',
    dark: 'file:../icons/smart-filter.dark.svg',
  };

  documentationUrl = 'https://docs.n8n.io/integrations/community-nodes/';

  properties: INodeProperties[] = [
    {
      displayName: 'Base URL',
      name: 'baseUrl',
      type: 'string',
      default: '',
      placeholder: 'https://photos.example.com',
      required: true,
      description: 'The address of the service, as programs on this machine reach it',
    },
    {
      displayName: 'API Key',
      name: 'apiKey',
      type: 'string',
      typeOptions: { password: true },
      default: '',
      required: true,
      description: 'A key with the scopes submit and read',
    },
  ];

  authenticate: IAuthenticateGeneric = {
    type: 'generic',
    properties: { headers: { Authorization: '=Bearer {{$credentials.apiKey}}' } },
  };

  test: ICredentialTestRequest = {
    request: { baseURL: '={{$credentials.baseUrl}}', url: '/v1/jobs', qs: { limit: 1 } },
  };
}
