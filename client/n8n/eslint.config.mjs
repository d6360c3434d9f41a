// The rules of n8n's own checker for community nodes (@n8n/node-cli), without its 500 packages.
import js from '@eslint/js';
import { n8nCommunityNodesPlugin } from '@n8n/eslint-plugin-community-nodes';
import n8nNodesBase from 'eslint-plugin-n8n-nodes-base';
import { globalIgnores } from 'eslint/config';
import typescript from 'typescript-eslint';

const communityNodes = n8nCommunityNodesPlugin.configs.recommended;
const rulesOf = (name) => n8nNodesBase.configs[name].rules;

export default typescript.config(
  globalIgnores(['dist']),
  { plugins: { 'n8n-nodes-base': n8nNodesBase } },
  {
    files: ['**/*.ts'],
    extends: [js.configs.recommended, typescript.configs.strict, communityNodes],
    rules: { 'no-console': 'error' },
  },
  {
    files: ['package.json'],
    extends: [communityNodes],
    rules: {
      ...rulesOf('community'),
      // Publishers set these; n8n verifies only packages with the MIT license.
      '@n8n/community-nodes/require-homepage': 'off',
      '@n8n/community-nodes/valid-author': 'off',
      'n8n-nodes-base/community-package-json-author-missing': 'off',
      'n8n-nodes-base/community-package-json-license-not-default': 'off',
    },
    languageOptions: {
      parser: typescript.parser,
      parserOptions: { extraFileExtensions: ['.json'] },
    },
  },
  {
    files: ['credentials/**/*.ts'],
    rules: {
      ...rulesOf('credentials'),
      'n8n-nodes-base/cred-class-field-documentation-url-miscased': 'off',
    },
  },
  {
    files: ['nodes/**/*.ts'],
    rules: {
      ...rulesOf('nodes'),
      'n8n-nodes-base/node-class-description-inputs-wrong-regular-node': 'off',
      'n8n-nodes-base/node-class-description-outputs-wrong': 'off',
    },
  },
);
